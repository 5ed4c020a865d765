//! The built-in data detectors, by the ids of [`postern_config::BUILTIN_DETECTORS`].

mod address;
mod birth;
mod card;
mod context;
mod email;
mod identifier;
mod licence;
mod national;
mod person;
mod phone;
mod secret;

use std::sync::{Arc, LazyLock};

use super::ScanError;
use super::pattern::{Pattern, Recipe};

type Compiled = LazyLock<Result<Arc<Pattern>, ScanError>>;

macro_rules! detectors {
    ($($name:ident = $id:literal: $recipe:expr;)*) => {
        $(static $name: Compiled = LazyLock::new(|| Pattern::from_recipe(&$recipe).map(Arc::new));)*

        fn find(id: &str) -> Option<(&'static Compiled, &'static Recipe)> {
            match id {
                $($id => Some((&$name, &$recipe)),)*
                _ => None,
            }
        }
    };
}

// One automaton each per process, made on first use: routes share them.
detectors! {
    CARD = "payment-card": card::RECIPE;
    IBAN = "iban": identifier::IBAN;
    EMAIL = "email": email::RECIPE;
    PHONE = "phone": phone::RECIPE;
    SSN = "us-ssn": identifier::US_SSN;
    NATIONAL = "national-id": national::RECIPE;
    BIRTH = "date-of-birth": birth::RECIPE;
    LICENCE = "driver-license": licence::RECIPE;
    ADDRESS = "postal-address": address::RECIPE;
    PERSON = "person-name": person::RECIPE;
    IP = "ip-address": identifier::IP_ADDRESS;
    SECRET = "secret": secret::RECIPE;
}

/// The detector with this id, and the bytes of text that a stream must be able to hold for it.
///
/// # Errors
/// [`ScanError::UnknownDetector`] for an id that is not in the list.
pub(crate) fn detector(id: &str) -> Result<(Arc<Pattern>, usize), ScanError> {
    let (compiled, recipe) = find(id).ok_or_else(|| ScanError::UnknownDetector { id: id.to_owned() })?;
    match &**compiled {
        Ok(pattern) => Ok((Arc::clone(pattern), recipe.needs)),
        Err(error) => Err(ScanError::Builtin { id: id.to_owned(), message: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_detector_compiles_and_no_other_exists() {
        for (id, _) in postern_config::BUILTIN_DETECTORS {
            let (_, needs) = detector(id).unwrap();
            assert!(needs <= 512, "{id} fits the default hold-back");
        }
        assert!(detector("shoe-size").is_err());
    }
}
