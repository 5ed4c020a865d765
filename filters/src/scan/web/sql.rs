//! Values that end a string or a number of a query and go on as a part of it.

mod doubt;

use std::borrow::Cow;
use std::sync::LazyLock;

use libinjectionrs::{SqliFlags, SqliState};
use regex::bytes::{Captures, Regex};

use super::prose::{PROSE, is_prose};
use super::rules::{self, Rules};
use super::{DOUBT, SURE, has_any, tame};

/// What is looked at of a value that goes on where a number ended.
const CONTINUED: usize = 1024;

pub(super) fn score(text: &str) -> u8 {
    let found = tokens(text);
    if found == SURE || !may_have_rules(text) {
        return found;
    }
    let text = without_comments(text);
    found.max(RULES.score(&text)).max(comparison(&text))
}

/// By the first tokens, as they would be read outside of a string, in one, and behind a number.
fn tokens(text: &str) -> u8 {
    let tame = tame::tamed(text);
    if !is_injection(&tame) && !continues(&tame) {
        return 0;
    }
    if doubt::is_doubtful(text) { DOUBT } else { SURE }
}

fn is_injection(text: &str) -> bool {
    SqliState::new(text.as_bytes(), SqliFlags::FLAG_NONE).detect()
}

/// `or 1=1`, `) union select 1`: a value that means nothing by itself and something behind a number.
fn continues(text: &str) -> bool {
    const STARTS: &[&str] = &[
        "or",
        "and",
        "xor",
        "union",
        "order",
        "group",
        "having",
        "limit",
        "like",
        "rlike",
        "between",
        "in",
        "is",
        "div",
        "mod",
        "procedure",
        "into",
        "where",
        "except",
        "intersect",
        "collate",
    ];
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == ')');
    let word = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let begins = text.starts_with(['|', '&', ',', ';']) || STARTS.iter().any(|start| start.eq_ignore_ascii_case(word));
    // Words alone are no more than that.
    if !begins || !text.contains(|c: char| c.is_ascii_digit() || matches!(c, '\'' | '"' | '=' | '(' | '@' | '*')) {
        return false;
    }
    let end = (0..=CONTINUED.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    is_injection(&format!("1 {}", text.get(..end).unwrap_or_default()))
}

/// Bytes of which one is in whatever a rule finds in a text that is longer than most values are.
const SIGNS: [bool; 256] = super::bytes(b"'\"`;=<>()|&#@*/$");
const VALUE: usize = 256;

fn may_have_rules(text: &str) -> bool {
    text.len() <= VALUE || has_any(text, &SIGNS)
}

/// Comments are blanks between words, and those of MySQL with a `!` are what is in them.
fn without_comments(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memmem::find(text.as_bytes(), b"/*") else { return Cow::Borrowed(text) };
    // No end is looked for behind the last one, so that nothing is looked through twice.
    let last = text.rfind("*/").unwrap_or(0);
    let mut out = String::with_capacity(text.len());
    let (mut at, mut next) = (0, Some(first));
    while let Some(start) = next {
        out.push_str(text.get(at..start).unwrap_or_default());
        out.push(' ');
        let inside = start + 2;
        let behind = text.get(inside..).unwrap_or_default();
        at = match behind.strip_prefix('!') {
            Some(kept) => text.len() - kept.trim_start_matches(|c: char| c.is_ascii_digit()).len(),
            None if inside <= last => behind.find("*/").map_or(inside, |end| inside + end + 2),
            None => inside,
        };
        next = text.get(at..).and_then(|rest| rest.find("/*")).map(|found| at + found);
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Cow::Owned(out.replace("*/", " "))
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    // Where a value ends what it stands in.
    const CUT: &str = r"^[^'\x22`\s]{0,64}['\x22`][\s)]{0,8}";
    const SOON: &str = r"^[^\s;]{0,48}[\s)'\x22`]{0,6}";
    const TABLES: &str = r"(?:information_schema\s{0,4}\.|\bsys(?:objects|columns|users|databases|logins)\b|\bmaster\.\.|\bmaster\.dbo\.|\bpg_(?:catalog|user|shadow|class|tables|database)\b|\bmysql\.(?:user|db)\b|\ball_(?:tables|users|tab_columns)\b|\buser_(?:tables|tab_columns|objects)\b|\bsqlite_(?:master|schema|temp_master)\b|\bsysibm\.|\bsyscat\.|\bmsys(?:accessobjects|objects|aces|queries|relationships)\b|\brdb\$|\bv\$version\b|\btempdb\.|\bmsdb\.)";
    let patterns = [
        // 1 UNION ALL SELECT null, …
        r"(?i)(?:^|[^a-z_])union[\s(]{1,16}(?:all[\s(]{1,16}|distinct(?:row)?[\s(]{1,16})?select(?:[\s(]{0,16}(?:[\d'\x22@*\[`~+\-!\\{]|null\b|[\w.@`]{1,64}\s{0,4}[,(]|[\w.@`]{1,64}\s{1,4}(?:from|as|into|where|limit)\b)|[\s(]{0,16}$|[^\w\s]{0,4}$)".to_owned(),
        // '; DROP TABLE …
        format!(r"(?i){SOON}\s{{0,4}};\s{{0,8}}(?:drop\s{{1,4}}(?:table|database|user|view|function|procedure|schema)|delete\s{{1,4}}from|insert\s{{1,4}}into|update\s{{1,4}}\S{{1,64}}\s{{1,4}}set|alter\s{{1,4}}(?:table|user|login|database)|create\s{{1,4}}(?:table|user|login|function|or\s|alias|procedure|database)|truncate\s{{1,4}}table|exec(?:ute)?[\s(]|declare\s{{1,4}}@?\w|shutdown\b|select[\s(*@'\x22]|waitfor\s|grant\s|call\s{{1,4}}\w{{1,64}}\s{{0,4}}\(|copy\s|merge\s{{1,4}}into|handler\s|use\s{{1,4}}\w{{1,64}}\s{{0,4}}(?:;|--|$)|(?:pg_)?sleep\s{{0,4}}\(|benchmark\s{{0,4}}\(|desc(?:ribe)?\s{{1,4}}\w{{1,64}}\s{{0,4}}(?:;|--|$)|begin\b[^;]{{0,64}};)"),
        // x' or …, x') like …
        format!(r"(?i){CUT}(?:\|\||&&|\b(?:or|and|xor)\b)[^\n]{{0,64}}?(?:[=<>~]|\b(?:i?like|glob|r?like|regexp|between|notnull|isnull|similar)\b|\bis\s{{1,4}}(?:not\s{{1,4}})?(?:null|true|false|\d)|\bexists\b|\bselect\b|\w\s{{0,4}}\(|--|#|;)"),
        format!(r"(?i){CUT}(?:\bunion[\s(]{{1,8}}(?:all|distinct|select)\b|\b(?:procedure|rlike|regexp|glob|collate|having|notnull|isnull)\b[\s(`'\x22-]|\b(?:order|group)\s{{1,4}}by\b|\b(?:limit|offset)\s{{1,4}}\d|\b(?:i?like|between|escape|div|mod)\s{{1,4}}['\x22(\d]|\bin\s{{1,4}}(?:boolean\s|\()|\bis\s{{1,4}}(?:not\s{{1,4}})?null\b|\binto\s{{1,4}}(?:out|dump)file\b|\bwaitfor\b|\bwhere\s{{1,4}}\S{{1,64}}\s{{0,4}}=|\|\|\s{{0,4}}[\w'(]|\+\s{{0,4}}\(?\s{{0,4}}(?:select|convert|char|cast)\b|,\s{{0,4}}\(\s{{0,4}}select\b)"),
        format!(r"{CUT};?\s{{0,4}}(?:--(?:\s|$)|#\s{{0,4}}$|/\*)"),
        format!(r"(?i){CUT}(?:;\s{{0,4}}(?:select|exec|print|drop|if|declare|begin|waitfor|sleep|return|it=|var\s)\b|\(?\s{{0,4}}select\s)"),
        // 1 ORDER BY 4--
        format!(r"(?i){SOON}\s{{0,4}}\b(?:order|group)\s{{1,4}}by\s{{1,4}}(?:\d{{1,4}}\s{{0,4}}(?:$|--|#|/\*|[,;)])|\(?\s{{0,4}}(?:select|sleep|if|case|rand|benchmark)\b)"),
        // Waiting, and functions that give away what is in the server
        r"(?i)\b(?:pg_sleep(?:_for)?\s{0,4}\(|benchmark\s{0,4}\(\s{0,4}\d{3,}|waitfor\s{1,4}(?:delay|time)\s{0,4}(?:['\x22(@]|$)|dbms_(?:pipe|lock|utility|xmlgen|xslprocessor|ldap|java)\.|utl_(?:http|inaddr|file)\.|ctxsys\.|extractvalue\s{0,4}\([^,]{1,64},|updatexml\s{0,4}\([^,]{1,64},|load_file\s{0,4}\(|xp_(?:cmdshell|dirtree|regread|regwrite|fileexist|availablemedia|enumdsn|loginconfig|makecab|ntsec_enumdomains|terminate_process|servicecontrol|subdirs|reg\w{1,24})\b|sp_(?:executesql|oacreate|oamethod|configure|password|makewebtask|addextendedproc|execute_external_script|addsrvrolemember|sqlexec)\b|openrowset\s{0,4}\(|opendatasource\s{0,4}\(|openquery\s{0,4}\(|randomblob\s{0,4}\(|regexp_substring\s{0,4}\(|crypt_key\s{0,4}\(|make_set\s{0,4}\(|elt\s{0,4}\(\s{0,4}[\d(]|name_const\s{0,4}\(|geometrycollection\s{0,4}\(|polygon\s{0,4}\(\s{0,4}\(|multipoint\s{0,4}\(\s{0,4}\(|lo_(?:import|get|export)\s{0,4}\(|pg_(?:read_file|ls_dir|read_binary_file)\s{0,4}\(|xmltype\s{0,4}\(|gtid_subset\s{0,4}\(|json_keys\s{0,4}\(\s{0,4}\(|generate_series\s{0,4}\(\s{0,4}\d|sqlite_compileoption_\w{1,8}|receive_message\s{0,4}\(|procedure\s{1,4}analyse|into\s{1,4}(?:out|dump)file\b|load\s{1,4}data\s{1,4}(?:local\s{1,4})?infile|exec(?:ute)?\s{1,4}(?:master\b|xp_|xp\b|sp_|sp\b|immediate\b)|exec(?:ute)?\s{0,4}\(\s{0,4}[@'0]|declare\s{1,4}@\w{1,64}\s{1,4}(?:as\s{1,4})?(?:n?(?:var)?char|int|table|sysname|cursor)|@@(?:version|hostname|datadir|servername|spid|basedir|innodb\w{1,32}|language|global))".to_owned(),
        r"(?i)(?:^\W{0,8}|\b(?:and|or|xor|select|by|r?like|regexp|if|then|else|when|div|mod|not|in|having|union)\b[\s(!~+\-]{0,8}|[,=<>|&*'\x22\d)][\s(+\-]{0,6})sleep\s{0,4}\([\s(]{0,4}(?:\d|__|['\x22@\[]|mod|select)".to_owned(),
        // What is read there, in what is a query or goes on as one
        format!(r"(?i)(?:\b(?:from|join|into|update)[\s(`\[\x22]{{1,8}}|^\W{{0,4}}){TABLES}"),
        r"(?i)(?:char|chr|nchar)\s{0,4}\(\s{0,4}\d{1,3}\s{0,4}\)\s{0,4}(?:\|\||\+|,)\s{0,4}(?:char|chr|nchar)\s{0,4}\(".to_owned(),
        // 1 and (select …), '||(select …
        format!(r"(?i){SOON}(?:\b(?:and|or|xor|div|mod|r?like|regexp|in|=|<|>)|[-+*/|&,=<>~^!%]{{1,3}})?[\s(!~+\-]{{0,8}}\(\s{{0,4}}select\b"),
        r"(?i)\b(?:i?if|case\s{1,4}when|decode|nullif|ifnull|coalesce)\s{0,4}[\s(]{1,4}\d{1,10}\s{0,4}(?:=|<|>|like\b)\s{0,4}\d{1,10}\b".to_owned(),
        r"(?i)\blimit\s{1,4}\d{1,10}\s{0,4},\s{0,4}\d{1,10}\s{1,4}(?:union|into|procedure)\b".to_owned(),
        r"(?i)^\s{0,8}select\s{1,8}(?:@@\w|[\w.]{1,64}\s{0,4}\(\s{0,4}\)|(?:system|session|current)_user\b|\*\s{1,4}from\s{1,4}(?:syscat|sysibm|information_schema|users?\b|mysql\.))".to_owned(),
        // Operators of document databases
        r"(?i)(?:^|[\[{,\s])['\x22]?\$(?:ne|eq|gte?|lte?|n?in|regex|where|exists|elemmatch|nor|not|or|and|func|expr|jsonschema)['\x22]?\s{0,4}(?:\]|:\s{0,4}(?:['\x22\[{/]|[\d-]|true|false|null|\w{1,16}\())".to_owned(),
        r"(?i)^\$(?:ne|eq|gte?|lte?|n?in|regex|where|exists|elemmatch|nor|not|func|expr|jsonschema|text)$".to_owned(),
        format!(r"{CUT}(?:&&|\|\|)\s{{0,4}}(?:this\.|\(?\s{{0,4}}function)"),
        r"(?i)\bdb\.\w{1,32}\.(?:insert|drop|find|remove|update|mapreduce|aggregate)\s{0,4}\(\s{0,4}[{)]".to_owned(),
        // Filters of directories
        r"^\*\s{0,4}\)?\s{0,4}\(\s{0,4}[|&!]|^\*\s{0,2}\|$|\*\s{0,4}\)\s{0,4}\(\s{0,4}[|&!]?\s{0,4}\(?\s{0,4}\w{1,32}\s{0,4}=".to_owned(),
    ];
    Rules::new(&patterns)
});

/// Bytes of both sides of a comparison at most, which bounds how far one look goes.
static COMPARISON: LazyLock<Option<Regex>> = LazyLock::new(|| {
    const SIDE: &str =
        r"(?:0x[0-9a-f]{1,32}|\d{1,20}(?:\.\d{1,10})?|'[^']{0,32}'?|\x22[^\x22]{0,32}\x22?|[a-z_]\w{0,31}|@@?\w{1,31})";
    let pattern = format!(
        r"(?i)(?:(?P<join>\b(?:or|and|xor|having)\b|\|\||&&)|\b(?:where|when|not)\b|^)(?P<gap>[\s(!~+\-]{{0,8}}(?:not|binary)?[\s(!~+\-]{{0,8}})(?P<left>{SIDE})[\s)]{{0,4}}(?P<op><=>|<>|!=|<=|>=|={{1,3}}|<|>|\b(?:not\s{{1,4}})?(?:r?like|regexp|glob|between)\b|\bis(?:\s{{1,4}}not)?\b|\bsounds\s{{1,4}}like\b)[\s(!~+\-]{{0,8}}(?P<right>{SIDE})(?P<end>['\x22\s);]{{0,4}}(?:--|#|/\*|;|$)?)",
    );
    rules::compile(&pattern)
});

/// `or 1=1`, `and 'a'='b`, `or x=x`: what compares two things that nobody has to compare.
fn comparison(text: &str) -> u8 {
    let Some(pattern) = COMPARISON.as_ref() else { return 0 };
    let found = pattern.captures_iter(text.as_bytes()).find(is_idle);
    match found.and_then(|found| found.get(0)) {
        Some(found) if is_prose(text, found.start(), PROSE) => DOUBT,
        Some(_) => SURE,
        None => 0,
    }
}

fn is_idle(found: &Captures<'_>) -> bool {
    let part = |name: &str| found.name(name).and_then(|part| std::str::from_utf8(part.as_bytes()).ok()).unwrap_or("");
    let (left, right, join) = (part("left"), part("right"), part("join"));
    let is_number = |side: &str| side.starts_with(|c: char| c.is_ascii_digit());
    let is_quoted = |side: &str| side.starts_with(['\'', '"']);
    let bare = |side: &str| side.trim_matches(['\'', '"']).to_ascii_lowercase();
    let joined = !join.is_empty();
    let begins = found.get(0).is_some_and(|whole| whole.start() < 16);
    let constant = |side: &str| is_number(side) || is_quoted(side);
    match (is_number(left), is_number(right)) {
        // A sum says 2 = 2; a query is told by what it is joined with.
        // So is a chain of inequalities.
        (true, true) if part("op").starts_with(['<', '>']) && part("op").len() == 1 => joined && begins,
        (true, true) => joined || !part("end").trim_matches(['\'', '"', ')', ' ']).is_empty(),
        _ if constant(left) && constant(right) => joined,
        _ => joined && !constant(left) && bare(left) == bare(right) && !part("end").is_empty(),
    }
}

#[cfg(test)]
pub(super) fn rules() -> &'static Rules {
    &RULES
}

#[cfg(test)]
#[test]
fn every_rule_compiles() {
    RULES.assert_compiled(20);
    assert!(COMPARISON.is_some());
}

#[cfg(test)]
#[test]
fn comments_are_blanks_but_for_those_that_run() {
    for (text, want) in [
        ("1/**/union/*x*/select", "1 union select"),
        ("1/*!50000union*/ /*!select*/1", "1 union   select 1"),
        ("a/*b", "a b"),
        ("a*/b/*", "a b "),
        ("/*/x", " /x"),
        ("/*/**/x", " x"),
    ] {
        assert_eq!(without_comments(text), want, "{text}");
    }
}
