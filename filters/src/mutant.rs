//! Guards and extractors that can be made to do nothing, one at a time, for the run which shows that tests notice (`make mutants`).
//! Without the feature of that run nothing of it is in a build.

#[cfg(feature = "mutants")]
mod chosen {
    use std::panic::Location;
    use std::sync::LazyLock;

    /// The place that does nothing in this process.
    static CHOSEN: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("POSTERN_MUTANT").ok());

    pub(crate) fn is(place: &str) -> bool {
        CHOSEN.as_deref() == Some(place)
    }

    /// Whether the caller of whoever asks is that place: `filters/src/dialect/openai/completions.rs:25`.
    #[track_caller]
    pub(crate) fn is_here() -> bool {
        let here = Location::caller();
        CHOSEN.as_ref().is_some_and(|place| *place == format!("{}:{}", here.file(), here.line()))
    }
}

#[cfg(not(feature = "mutants"))]
mod chosen {
    pub(crate) fn is(_place: &str) -> bool {
        false
    }

    pub(crate) fn is_here() -> bool {
        false
    }
}

pub(crate) use chosen::{is, is_here};
