//! Names of people: a common given name with a family name behind it, or a name behind words that announce one.
//!
//! What is found is likely a name; that nothing is found says nothing. Names of which no given name is listed, and that
//! nothing announces, are not found.

mod given;
#[cfg(test)]
mod tests;

use crate::scan::pattern::{Candidate, Recipe, Shape};

/// A word with a capital, to its end: behind an ASCII letter that is where a word ends, behind any other where none
/// begins.
macro_rules! capital {
    () => {
        r"(?:[A-Z]|\xC3[\x80-\x9E]|\xC5[\x81\x9A\xA0\xBB\xBD])(?:[A-Za-z'-]|[\xC3-\xC5][\x80-\xBF])*(?:[A-Za-z]\b|[\xC3-\xC5][\x80-\xBF]\B)"
    };
}

/// Small words inside a name, and the letter of a middle name.
macro_rules! particles {
    () => {
        r"(?:(?:van|von|de|da|do|dos|das|del|della|di|du|der|den|la|le|el|al|bin|ibn|ter|ten|y|e|zu|af|d'|O'|[A-Z]\.) ?)*"
    };
}

macro_rules! recipe {
    ([$($plain:literal,)*] [$($accented:literal,)*]) => {
        /// All of them.
        const GIVEN: &[&str] = &[$($plain,)* $($accented,)*];

        pub(super) const RECIPE: Recipe = Recipe {
            shapes: &[
                // A given name and a family name.
                Shape {
                    pattern: concat!(
                        "(?-u:\\b)(?:", $($plain, "|",)* $($accented, "|",)* "Aaron)",
                        "(?-u:(?:-", capital!(), ")?(?: ", particles!(), capital!(), ")+)"
                    ),
                    check: full,
                    whole: true,
                },
                // A title.
                Shape {
                    pattern: concat!(
                        r"(?-u:\b(?:Mr|Mrs|Ms|Mx|Miss|Dr|Prof|Herr|Frau|Mme|Mlle|Monsieur|Madame|Sr|Sra|Srta|Se\xC3\xB1or|Se\xC3\xB1ora|Dhr|Mevr|Sig|Sig\.ra|Dott|Lady|Sir)\.? (?:(?:Dr|Prof|med)\.? ){0,2}",
                        particles!(), capital!(), "(?: ", particles!(), capital!(), ")*)"
                    ),
                    check: announced,
                    whole: false,
                },
                // Words that say a name follows.
                Shape {
                    pattern: concat!(
                        r"(?-u:\b(?i:my name is|name is|name's|i am called|named (?:him|her)|je m'appelle|ich hei\xC3\x9Fe|mein name ist|me llamo|mi chiamo|mijn naam is|meu nome \xC3\xA9|mi nombre es|card ?holder|holder|patient|sincerely,|regards,|signed by|signed,)(?: |\n|: )",
                        particles!(), capital!(), "(?: ", particles!(), capital!(), ")*)"
                    ),
                    check: announced,
                    whole: false,
                },
                // A greeting, or a field, with a given name.
                Shape {
                    pattern: concat!(
                        r#"(?-u:\b(?:(?:Dear|Hi|Hello|Hey|Hallo|Liebe|Lieber|Bonjour|Hola|Ciao|Querido|Querida|Caro|Cara|Beste),? |(?i:name|first_?name|firstname|full_?name|fullname|customer|employee|author|contact)\\?["']? ?[:=] {0,6}\\?["']?)"#,
                        particles!(), capital!(), "(?: ", particles!(), capital!(), ")*)"
                    ),
                    check: with_given,
                    whole: false,
                },
            ],
            lead: None,
            evident: |read| (1..=5).contains(&read.iter().filter(|b| **b == b' ').count()) && (12..=MAX).contains(&read.len()),
            needs: 160,
            value,
        };
    };
}

given::given!(recipe);

/// Capitalised words that follow a given name or a title and are no family name.
#[rustfmt::skip]
const NOT_NAMES: &[&str] = &[
    "Academy", "Act", "Airport", "Allee", "And", "Apt", "Arena", "Assistant", "Associates", "Ave", "Avenue", "Award",
    "Bank", "Basilica", "Bay", "Beach", "Blvd", "Boulevard", "Branch", "Bridge", "Brothers", "Burg", "Burgs", "Bus",
    "Bypass", "Camp", "Canyon", "Cape", "Cathedral", "Causeway", "Center", "Centre", "Chapel", "Church", "Circle",
    "City", "Cliff", "Cliffs", "Clinic", "Club", "Code", "College", "Common", "Company", "Corner", "Corners", "Corp",
    "Corporation", "Country", "County", "Course", "Court", "Courts", "Cove", "Creek", "Crescent", "Crest", "Crossing",
    "Cup", "Customer", "Dam", "Day", "Desktop", "Divide", "Drive", "Drives", "Economics", "Estate", "Estates",
    "Everyone", "Expressway", "Extension", "Extensions", "Fall", "Falls", "Ferry", "Festival", "Field", "Flat",
    "Flats", "For", "Forest", "Forge", "Fork", "Forks", "Fort", "Foundation", "Freeway", "Friend", "Friends",
    "Galleries", "Gallery", "Garden", "Gardens", "Gasse", "Gateway", "Glens", "GmbH", "Greens", "Group", "Grove",
    "Groves", "Haiku", "Hall", "Harbor", "Harbors", "Haven", "Heights", "Highway", "Hills", "Hiring", "Holdings",
    "Hollow", "Hospital", "Hotel", "House", "Inc", "Inlet", "Instant", "Institute", "International", "Is", "Island",
    "Islands", "Junction", "Junctions", "Keys", "Knoll", "Knolls", "Lake", "Lakes", "Landing", "Lane", "Library",
    "Light", "Lights", "Limited", "Loaf", "Lock", "Locks", "Lodge", "Loop", "Ltd", "Ltda", "Madam", "Mall", "Manager",
    "Manor", "Manors", "Market", "Meadow", "Meadows", "Memorial", "Mews", "Mill", "Mills", "Mission", "Motorway",
    "Mount", "Mountain", "Mountains", "Museum", "Neck", "Of", "Opus", "Or", "Orchard", "Orchestra", "Oval",
    "Overpass", "Park", "Parks", "Parkway", "Parkways", "Partners", "Pass", "Passage", "Path", "Phone", "Pine",
    "Pines", "Place", "Plain", "Plains", "Platz", "Plaza", "Point", "Points", "Port", "Ports", "Prairie", "Prize",
    "Radial", "Ramp", "Ranch", "Rapid", "Rapids", "Rd", "Rest", "Restaurant", "Ridge", "Ridges", "River", "Road",
    "Roads", "Route", "Row", "Run", "School", "Shoal", "Shoals", "Shore", "Shores", "Sir", "Skyway", "Sonnet", "Sons",
    "Spring", "Springs", "Spur", "Spurs", "Square", "St", "Stadium", "Station", "Stiftung", "Strasse", "Stravenue",
    "Straße", "Stream", "Street", "Streets", "Studio", "Studios", "Summit", "Team", "Terrace", "The", "Theatre",
    "Theorem", "There", "Throughway", "Tower", "Trace", "Track", "Trafficway", "Trail", "Trailer", "Tunnel",
    "Turnpike", "Underpass", "Union", "Unions", "University", "User", "Valley", "Valleys", "Verlag", "Via", "Viaduct",
    "View", "Views", "Village", "Villages", "Ville", "Vision", "Vista", "Walks", "Way", "Ways", "Weg", "Well",
    "World",
];

/// Words before a given name that make it one of a place, in lower case and sorted.
#[rustfmt::skip]
const PLACES: &[&str] = &[
    "acceso", "aeroporto", "alameda", "allée", "av", "avda", "avenida", "avenue", "borgo", "boulevard", "c", "calle",
    "callejón", "camino", "campo", "carrera", "chemin", "chácara", "colônia", "condomínio", "conjunto", "contrada",
    "corso", "cours", "distrito", "east", "esplanada", "estrada", "favela", "fazenda", "feira", "fort", "glorieta",
    "impasse", "jardim", "ladeira", "lago", "lagoa", "lake", "largo", "loteamento", "morro", "mount", "new", "north",
    "nova", "novo", "núcleo", "parque", "pasaje", "paseo", "passage", "passarela", "piazza", "piazzale", "place",
    "plaza", "point", "port", "praça", "pátio", "quai", "quinta", "rambla", "recanto", "residencial", "rodovia",
    "ronda", "rotonda", "route", "rua", "rue", "saint", "sainte", "san", "santa", "santo", "setor", "south", "st",
    "ste", "strada", "street", "stretto", "são", "travessa", "trecho", "trevo", "urbanización", "vale", "vereda",
    "via", "viaduto", "viale", "vicolo", "viela", "vila", "vía", "west",
];

fn full(candidate: Candidate<'_>) -> Option<u8> {
    let joined = candidate.before.last().is_some_and(|b| matches!(b, b'/' | b'_' | b'-' | b'@' | b'.' | b'&' | 0x80..));
    (!joined && !is_place(candidate.before) && are_names(candidate.text, 1)).then_some(80)
}

/// `84 chemin `, `calle de `, `New `: of what is named after somebody.
fn is_place(before: &[u8]) -> bool {
    let mut words = before.trim_ascii_end().rsplit(|b| matches!(b, b' ' | b'\n')).filter(|word| !word.is_empty());
    let last = words.next().unwrap_or_default();
    let small = matches!(last, b"de" | b"du" | b"da" | b"do" | b"del" | b"la");
    let word = if small { words.next().unwrap_or_default() } else { last }.to_ascii_lowercase();
    let word = word.strip_suffix(b".").unwrap_or(&word);
    let behind = before.last() == Some(&b' ');
    behind
        && (word.iter().all(u8::is_ascii_digit) && !word.is_empty()
            || PLACES.binary_search_by(|known| known.as_bytes().cmp(word)).is_ok())
}

fn announced(candidate: Candidate<'_>) -> Option<u8> {
    let name = candidate.text.get(value(candidate.text)..).filter(|name| name.len() <= MAX)?;
    are_names(name, 0).then_some(80)
}

fn with_given(candidate: Candidate<'_>) -> Option<u8> {
    let name = candidate.text.get(value(candidate.text)..).filter(|name| name.len() <= MAX)?;
    let first = name.split(|b| matches!(b, b' ' | b'-')).next()?;
    let listed = GIVEN.iter().any(|given| given.as_bytes() == first);
    (listed && are_names(name, 0)).then_some(80)
}

/// A longer run of capitalised words is a heading, not a name.
const MAX: usize = 96;

/// Whether every word may be part of a name; the first `known` are.
fn are_names(text: &[u8], known: usize) -> bool {
    if text.len() > MAX {
        return false;
    }
    let mut words = text.split(|b| *b == b' ').filter(|word| word.len() > 1).skip(known).peekable();
    let some = known == 0 || words.peek().is_some();
    some && words.all(|word| {
        let shouted = word.iter().all(u8::is_ascii_uppercase);
        !shouted && NOT_NAMES.binary_search_by(|known| known.as_bytes().cmp(word)).is_err()
    })
}

/// Where the name begins behind the words that announce it.
fn value(text: &[u8]) -> usize {
    if let Some(field) = text.iter().position(|b| matches!(b, b':' | b'=')) {
        let rest = text.get(field + 1..).unwrap_or_default();
        let between = rest.iter().take_while(|b| matches!(b, b' ' | b'"' | b'\'' | b'\\' | b'\n')).count();
        return field + 1 + between;
    }
    // In lower case, the longest that fits.
    #[rustfmt::skip]
    const BEFORE: &[&str] = &[
        "bonjour", "cara", "card holder", "cardholder", "caro", "ciao", "dear", "hallo", "hello", "hey", "hi", "hola",
        "holder", "i am called", "ich heiße", "je m'appelle", "liebe", "lieber", "me llamo", "mein name ist",
        "meu nome é", "mi chiamo", "mi nombre es", "mijn naam is", "my name is", "name is", "name's", "named her",
        "named him", "patient", "querida", "querido", "regards,", "signed by", "signed,", "sincerely,", "beste", "dr",
        "dhr", "dott", "frau", "herr", "lady", "madame", "mevr", "miss", "mlle", "mme", "monsieur", "mr", "mrs", "ms",
        "mx", "prof", "señor", "señora", "sig", "sig.ra", "sir", "sr", "sra", "srta",
    ];
    let fits = |word: &&&str| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()));
    let ends = |word: &&&str| text.get(word.len()).is_some_and(|b| matches!(b, b' ' | b'.' | b'\n' | b','));
    let length = BEFORE.iter().filter(fits).filter(ends).map(|word| word.len()).max().unwrap_or(0);
    if length == 0 {
        return 0;
    }
    let rest = text.get(length..).unwrap_or_default();
    length + rest.iter().take_while(|b| matches!(b, b' ' | b'.' | b',' | b'\n')).count()
}
