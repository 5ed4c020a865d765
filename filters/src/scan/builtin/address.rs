//! Postal addresses: a street and a house number with a postcode and a town behind them, in the orders that some
//! countries use; without a postcode only where a word before says that an address follows.

use super::context::near;
use crate::scan::pattern::{Candidate, Recipe, Shape};

/// A capital.
macro_rules! capital {
    () => {
        r"(?:[A-Z]|\xC3[\x80-\x9E])"
    };
}

/// Words with a capital or a digit, and small words between them; as many as there are, so that the automaton stays small.
macro_rules! words {
    () => {
        r"(?: (?:(?:[A-Z0-9']|\xC3[\x80-\x9E])(?:[A-Za-z0-9'.-]|[\xC2-\xC5][\x80-\xBF])*,?|,|/|de|da|do|dos|das|del|della|delle|di|du|des|la|le|les|van|von|der|den|het|y|e|in|am|an|en))*"
    };
}

/// The name of a town, of up to four words.
macro_rules! town {
    () => {
        r"(?:[A-Z']|\xC3[\x80-\x9E])(?:[A-Za-z'-]|[\xC3-\xC5][\x80-\xBF]){1,32}(?:(?: (?:am|an|der|im|bei|in|ob|a\.|de|da|do|dos|das|del|di|la|le|les|sur|aan|den))? (?:[A-Z]|\xC3[\x80-\x9E])(?:[A-Za-z'-]|[\xC3-\xC5][\x80-\xBF]){1,32}){0,3}"
    };
}

const fn shape(pattern: &'static str, check: fn(Candidate<'_>) -> Option<u8>) -> Shape {
    Shape { pattern, check, whole: false }
}

pub(super) const RECIPE: Recipe = Recipe {
    shapes: &[
        // United States: number, street, town, state and ZIP code.
        shape(
            concat!(
                r"(?-u:\b[0-9]{1,6}[A-Z]?,?",
                words!(),
                r"\n?(?:[A-Z][A-Za-z]*)?,? (?:A[AEKLPRSZ]|C[AOT]|D[CE]|F[LM]|G[AU]|HI|I[ADLN]|K[SY]|LA|M[ADEHINOPST]|N[CDEHJMVY]|O[HKR]|P[ARW]|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]),? [0-9]{5}(?:-[0-9]{4})?\b)"
            ),
            with_code,
        ),
        // United Kingdom: it ends with a postcode.
        shape(
            concat!(
                r"(?-u:\b(?:(?:Flat|Studio|Unit|Apartment) [0-9]{1,4}[A-Z]?,?|[0-9]{1,4}[A-Za-z]?,?)",
                words!(),
                r" [A-Z]{1,2}[0-9][0-9A-Z]? [0-9][A-Z]{2}\b)"
            ),
            with_code,
        ),
        // A house number, a word for a street, and a name, as in France.
        shape(
            concat!(
                r"(?-u:\b(?:[0-9]{1,4}(?: bis| ter)?,? )?(?:rue|avenue|boulevard|place|chemin|impasse|all\xC3\xA9e|quai|route|cours|square|passage)",
                words!(),
                r",? [0-9]{5} ",
                town!(),
                ")"
            ),
            with_code,
        ),
        // A word for a street, a name, a number, a postcode and a town, in either order, as in Italy, Spain, Portugal and Brazil.
        shape(
            concat!(
                r"(?-u:\b(?:Via|Viale|Piazza|Piazzale|Corso|Vicolo|Largo|Strada|Contrada|Rotonda|Borgo|Stretto|Incrocio|Canale|Calle|Avenida|Avda\.?|Av\.?|C\.|C/|Plaza|Paseo|Camino|Ronda|Carrera|Pasaje|Acceso|Alameda|Callej\xC3\xB3n|Glorieta|Rambla|Urbanizaci\xC3\xB3n|V\xC3\xADa|Cuesta|Rua|Travessa|Pra\xC3\xA7a|Rodovia|Estrada|Quinta|Vila|Setor|Fazenda|Residencial|Loteamento|Condom\xC3\xADnio|Conjunto|Distrito|Esplanada|Jardim|Lago|Lagoa|Ladeira|Morro|N\xC3\xBAcleo|Parque|Passarela|P\xC3\xA1tio|Recanto|Trecho|Trevo|Vale|Vereda|Viaduto|Viela|Aeroporto|Campo|Ch\xC3\xA1cara|Col\xC3\xB4nia|Favela|Feira)",
                words!(),
                r" [0-9]{5}(?:-?[0-9]{3})?\b(?:,? ",
                town!(),
                r"(?: / [A-Z]{2}\b| \([A-Z]{2}\))?)?)"
            ),
            with_code,
        ),
        // A name that ends with a word for a street, a number, a postcode and a town, as in Germany and the Netherlands.
        shape(
            concat!(
                r"(?-u:\b[A-Z](?:[A-Za-z.'-]|[\xC3-\xC5][\x80-\xBF])+(?: ",
                capital!(),
                r"(?:[A-Za-z.'-]|[\xC3-\xC5][\x80-\xBF])+)* [0-9]{1,4}(?:[a-z]|[ /-][0-9]{1,3})?(?:, ?|\n| )(?:D-|A-|CH-)?(?:[0-9]{4} ?[A-Z]{2},?|[0-9]{5}|[0-9]{4}) ",
                town!(),
                ")"
            ),
            continental,
        ),
        // A street of an English-speaking country alone.
        shape(
            r"(?-u:\b[0-9]{1,6} (?:[NSEW]\.? )?[A-Z][A-Za-z.'-]*(?: [A-Z][A-Za-z.'-]*){0,3} (?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Square|Terrace|Way|Parkway|Pkwy|Circle|Highway|Hwy|Close|Crescent|Gardens|Grove|Mews)\b\.?(?:,? (?:Apt|Suite|Ste|Unit|#)\.? ?[0-9A-Za-z-]{1,6})?)",
            named,
        ),
    ],
    lead: None,
    // The postcode has come.
    evident: |read| read.get(8..).is_some_and(|rest| rest.windows(5).any(|five| five.iter().all(u8::is_ascii_digit))),
    needs: 200,
    value: |_| 0,
};

fn with_code(candidate: Candidate<'_>) -> Option<u8> {
    (!joined(candidate.before)).then_some(85)
}

/// German, Dutch and Scandinavian streets end with what they are.
fn continental(candidate: Candidate<'_>) -> Option<u8> {
    #[rustfmt::skip]
    const ENDS: &[&[u8]] = &[
        b"stra\xC3\x9Fe", b"strasse", b"str.", b"weg", b"platz", b"allee", b"gasse", b"ring", b"ufer", b"damm",
        b"graben", b"markt", b"straat", b"laan", b"plein", b"gracht", b"kade", b"singel", b"pad", b"dreef", b"hof",
        b"steeg", b"baan", b"boulevard", b"ring", b"gatan", b"gata", b"v\xC3\xA4gen", b"gade", b"vej", b"vei",
        b"veien", b"katu", b"tie",
    ];
    let at = candidate.text.windows(2).position(|pair| matches!(pair, [b' ', digit] if digit.is_ascii_digit()))?;
    let street = candidate.text.get(..at)?.to_ascii_lowercase();
    (ENDS.iter().any(|end| street.ends_with(end)) && !joined(candidate.before)).then_some(85)
}

fn named(candidate: Candidate<'_>) -> Option<u8> {
    /// Sorted: they are searched by halves.
    #[rustfmt::skip]
    const WORDS: &[&str] = &[
        "address", "addresses", "apartment", "billing", "deliver", "delivered", "delivery", "domicile", "home",
        "house", "live", "lived", "lives", "living", "mail", "mailed", "moved", "reside", "residence", "resident",
        "resides", "residing", "ship", "shipped", "shipping", "street",
    ];
    (near(candidate.before, 48, WORDS) && !joined(candidate.before)).then_some(80)
}

fn joined(before: &[u8]) -> bool {
    matches!(before, [.., a, b'-' | b'.' | b'/' | b'_' | b','] if a.is_ascii_alphanumeric())
}
