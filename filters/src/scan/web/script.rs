//! Values that run as a script where a page shows them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::prose::{PROSE, is_prose};
use super::rules::Rules;
use super::{DOUBT, SURE, has_any, tame};

/// Comments carry scripts, so it takes more words to make it one that speaks of them.
const WORDS: usize = 2 * PROSE;

/// Bytes of which one is in every script that is longer than most values are.
const VALUE: usize = 64;
const SIGNS: [bool; 256] = super::bytes(b"<=(`[{&\\:+");

pub(super) fn score(text: &str) -> u8 {
    if text.len() > VALUE && !has_any(text, &SIGNS) {
        return 0;
    }
    let plain = judge(text);
    if plain == SURE {
        return plain;
    }
    match unescape(text) {
        Some(text) => plain.max(judge(&text)),
        None => plain,
    }
}

fn judge(text: &str) -> u8 {
    // Browsers have skipped NULs, and taken them for blanks.
    if memchr::memchr(0, text.as_bytes()).is_some() {
        return read(&text.replace('\0', "")).max(read(&text.replace('\0', " ")));
    }
    read(text)
}

fn read(text: &str) -> u8 {
    let ruled = RULES.score_behind(text, WORDS);
    // What runs stands in an element or, inside one, in the value of an attribute.
    if ruled == SURE || memchr::memchr2(b'<', b'=', text.as_bytes()).is_none() {
        return ruled;
    }
    if !libinjectionrs::detect_xss(tame::tamed(text).as_bytes()).is_injection() {
        return ruled;
    }
    match runs(text) {
        Some(at) if !is_prose(text, at, WORDS) => SURE,
        _ => DOUBT,
    }
}

/// Where there is more than an element that shows something: `<link>` and `<style>` alone run nothing.
fn runs(text: &str) -> Option<usize> {
    // The pattern is a constant; one that did not compile would leave every finding sure.
    static RUNS: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"(?i)<[\s\x00]*/?[\s\x00]*(?:script|svg|iframe|embed|object|applet|meta|base|math|xss|x:|xi:|xsl:|v:|xml|isindex|frame|layer|vmlframe|import|handler|listener|animate|set\s|\?|!\[|!entity|!attlist|!--[^>]{0,8}\[|%)|[\s"'/\x00`]on[a-z]{3,24}[\s\x00]*=|(?:java|vb|live)[\s\x00]*script[\s\x00]*[:#]|data[\s\x00]*:[^,]{0,64}(?:html|xml|svg|base64)|style[\s\x00]*=[^>]{0,256}(?:expression|url|@import|behaviou?r|-moz-binding|/\*|\\[0-9a-z]|[;'"]\}|[{}\[\]])|@im\\?port|<style[^>]{0,64}>[^<]{0,256}(?:expression|javascript|@import|behaviou?r|-moz-binding|\\[0-9a-z]|=\\|@\\)|<style[^>]{0,32}type\s*=\s*["']?text/javascript|(?:xlink:href|formaction|srcdoc|fscommand|dynsrc|lowsrc|datasrc|dataformatas|attributename|ev:event|xmlns:\w{1,16})[\s\x00]*=|<link[^>]{1,256}(?:href|rel)[\s\x00]*=|&(?:#|colon|tab|newline)"#,
        )
        .ok()
    });
    RUNS.as_ref().map_or(Some(0), |pattern| pattern.find(text).map(|found| found.start()))
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    const NAMES: &str = r"(?:alert|confirm|prompt|eval|import|fetch|atob|btoa|setTimeout|setInterval|Function|XMLHttpRequest|document|window|location|top|self|parent|frames|globalThis|navigator|cookie|constructor|this)";
    const EVENTS: &str = r"on(?:error|load\w{0,10}|unload|click|dblclick|auxclick|contextmenu|mouse\w{2,8}|focus\w{0,3}|blur|toggle|begin|end|repeat|finish|bounce|start|key\w{2,8}|touch\w{2,8}|pointer\w{2,12}|gesture\w{2,8}|drag\w{0,6}|drop|copy|paste|cut|submit|reset|select\w{0,8}|change|input|invalid|scroll\w{0,4}|wheel|resize\w{0,5}|before\w{2,24}|after\w{2,24}|animation\w{2,12}|transition\w{2,12}|hashchange|pageshow|pagehide|popstate|readystatechange|play\w{0,8}|canplay\w{0,8}|pause|ended|seek\w{2,4}|timeupdate|volumechange|waiting|progress|ratechange|durationchange|de?activate|show|search|cellchange|zoom|webkit\w{3,64}|fullscreen\w{2,8}|propertychange|filterchange|rowenter|rowexit|rows\w{2,8}|data\w{2,16}|layoutcomplete|losecapture|page|outofsync|syncrestored|urlflip|timeerror|trackchange|mediacomplete|mediaerror|reverse|resume|help|hover|stop|move\w{0,5}|controlselect|xxx)";
    let patterns = [
        // <b onclick=…
        r"(?i)<[a-z!/?%\x22][^>]*?[\s\x22'`/]on[a-z]{3,64}\s*=".to_owned(),
        // " onfocus=… in what will be an attribute
        format!(r"(?i)(?:^|[\x22'`/;]|[\x22'`>]\s[^<>]{{0,128}}[\s/])[\s+]{{0,8}}{EVENTS}\s{{0,8}}=\s{{0,8}}[\x22'`]?\s{{0,8}}(?:[a-z_$(\[{{\\/!~&-]|$)"),
        r"(?i)^[^<>]{0,64}[\x22'`][\s/]{0,8}(?:formaction|srcdoc|autofocus|accesskey|xlink:href)\s{0,8}=".to_owned(),
        // javascript:…
        r"(?i)(?:^|[\s\x22'`=(,;>])(?:j\s*a\s*v\s*a|v\s*b|l\s*i\s*v\s*e)\s*s\s*c\s*r\s*i\s*p\s*t\s*:(?:\s{0,2}/[/*]|[\w$.]{1,64}[(`=\[]|['\x22\\%&<`(\[{!~+-])".to_owned(),
        r"(?i)^\s{0,8}(?:feed|view-source|jar|data\s{0,4}:\s{0,4}text/html[^,]{0,64},)\s{0,4}:?[^<]{0,64}(?:javascript:|<script)".to_owned(),
        r"(?i)^\s{0,8}data\s{0,4}:\s{0,4}(?:text/(?:html|xml)|image/svg\+xml|application/xhtml)".to_owned(),
        // ';alert(1)//   '-alert(1)-'
        format!(r"(?i)^[^\s<>]{{0,32}}[\x22'`\\][\s;)}}\]]{{0,8}}(?:[-+;*/^,|&<>=?:%]|\bin\b|\}})[\s;)}}\]/*+-]{{0,12}}{NAMES}\s{{0,4}}[(\[`.=]"),
        format!(r"(?i)^[\s;)}}\]]{{0,8}}{NAMES}\s{{0,4}}[(`]\s{{0,4}}(?:document\.|window\.|location\b|String\.|self\b|['\x22`]?xss|1\b|1337|name\b|code\b)"),
        r"(?i)\b(?:alert|confirm|prompt)\s{0,4}(?:\?\.)?\s{0,4}[(`]\s{0,4}(?:document\.|window\.|location\b|String\.from|/\w{0,16}/|['\x22`]?xss|\d{1,6}\s{0,4}[)`]|origin\b|self\b|top\b)".to_owned(),
        r"(?i)\beval\s{0,4}\(\s{0,4}(?:atob|unescape|String\.|location|name\b|decodeURI|window|document|this\.|\x22?alert|'?alert)".to_owned(),
        // Names spelled so that they are not seen
        r"(?i)\b(?:window|self|top|parent|frames|this|globalThis|document)\)?\s{0,4}(?:/\*[^*]{0,32}\*/)?\s{0,4}\[\s{0,4}(?:/\*[^*]{0,32}\*/)?\s{0,4}['\x22`/](?:alert|confirm|prompt|eval|document|cookie|domain|constructor|location|fetch|Function|\$|\\|\w{1,8}['\x22`/]\s{0,4}(?:\+|\.source))".to_owned(),
        r"(?i)\bdocument\)?\s{0,8}(?:/\*[^*]{0,32}\*/)?\s{0,8}(?:\.|\[)\s{0,8}(?:/\*[^*]{0,32}\*/)?\s{0,8}['\x22]?(?:cookie|domain)\b".to_owned(),
        r"(?i)\[\s{0,4}\w{0,16}\s{0,4}\]\s{0,4}\.\s{0,4}(?:/\*[^*]{0,16}\*/)?\s{0,4}(?:sort|map|filter|find|forEach|at|some|every|reduce)\s{0,4}\.\s{0,4}(?:call|apply|constructor)|\bReflect\s{0,4}\.\s{0,4}\w{1,24}\s{0,4}\.\s{0,4}(?:call|apply)".to_owned(),
        // Programs of brackets alone
        r"(?:[\[\]()!+]\s?){24}|!!\[\s{0,2}\]|\(!\[\s{0,2}\]\s{0,2}\+?\s{0,2}\[".to_owned(),
        // Templates of frameworks that run what is in them
        r"(?i)(?:\{\{|\[\[|v-html|ng-\w{2,16}\s{0,4}=)[^}]{0,256}(?:constructor|__proto__|\$on\b|\$eval\b|\$event|_c\.|toString\(\)|alert\s{0,4}[(`]|eval\s{0,4}\()".to_owned(),
        // Styles that load or run
        r"(?i)-moz-binding\s{0,4}:|\bbehaviou?r\s{0,4}:\s{0,4}url|\bexpression\s{0,4}\(\s{0,4}(?:alert|eval|document|window|String)|url\s{0,4}\(\s{0,4}['\x22]?\s{0,4}(?:javascript|vbscript|data\s{0,4}:\s{0,4}text/html)".to_owned(),
        // Elements that are split, opened in odd ways or declared
        r"(?i)<\s{0,4}(?:/\s{0,4})?s\s{0,2}c\s{0,2}r\s{0,2}i\s{0,2}p\s{0,2}t[\s/+>]|<s(?:cr?)?<[^>]{0,32}>|<!entity\s|!ENTITY\s{1,8}%?\s{0,8}\w{1,64}\s{1,8}(?:SYSTEM|PUBLIC)\b|<!attlist\s|<\?xml-stylesheet|<!--#(?:exec|include|echo|set|config|printenv)\b|<\w{1,32}:vmlframe|<xi:include|xsi:schemalocation\s*=|<[^<>]{0,64}\bimplementation\s*=|\+ADw-".to_owned(),
        r"(?i)<(?:noscript|noembed|noframes|title|textarea|template|xmp|plaintext|listing)>?[^>]{0,32}</(?:noscript|noembed|noframes|title|textarea|template|xmp)>?<".to_owned(),
    ];
    Rules::new(&patterns)
});

/// What references of HTML and escapes of scripts and styles stand for; nothing where there are none.
fn unescape(text: &str) -> Option<String> {
    let is_escape = |at: usize| reference(text, at).is_some();
    let first = memchr::memchr2_iter(b'&', b'\\', text.as_bytes()).find(|at| is_escape(*at))?;
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let mut next = Some(first);
    while let Some(at) = next {
        out.push_str(text.get(from..at)?);
        from = match reference(text, at) {
            Some((decoded, length)) => {
                out.push_str(&decoded);
                at + length
            }
            None => {
                out.push(if text.as_bytes().get(at) == Some(&b'&') { '&' } else { '\\' });
                at + 1
            }
        };
        next = memchr::memchr2(b'&', b'\\', text.as_bytes().get(from..)?).map(|at| from + at);
    }
    out.push_str(text.get(from..)?);
    Some(out)
}

/// The reference or escape at `at`, and its length.
fn reference(text: &str, at: usize) -> Option<(Cow<'static, str>, usize)> {
    const NAMED: &[(&str, &str)] = &[
        ("&lt", "<"),
        ("&gt", ">"),
        ("&quot", "\""),
        ("&apos", "'"),
        ("&amp", "&"),
        ("&colon", ":"),
        ("&lpar", "("),
        ("&rpar", ")"),
        ("&tab", ""),
        ("&newline", ""),
        ("&sol", "/"),
        ("&equals", "="),
        ("&nbsp", " "),
        ("&bsol", "\\"),
        ("&grave", "`"),
        ("&excl", "!"),
        ("&comma", ","),
        ("&period", "."),
        ("&semi", ";"),
        ("&num", "#"),
        ("&lbrace", "{"),
        ("&lcub", "{"),
        ("&rcub", "}"),
        ("&lbrack", "["),
        ("&lsqb", "["),
        ("&rsqb", "]"),
        ("&dollar", "$"),
    ];
    let rest = text.get(at..)?;
    let digits = |from: usize, radix: u32, most: usize| {
        let digits = rest.get(from..)?;
        let length = digits.bytes().take(most).take_while(|b| char::from(*b).is_digit(radix)).count();
        let code = u32::from_str_radix(digits.get(..length)?, radix).ok()?;
        Some((char::from_u32(code)?, from + length))
    };
    let ended = |(c, end): (char, usize)| {
        let length = end + usize::from(rest.as_bytes().get(end) == Some(&b';'));
        // Controls are skipped inside of a scheme.
        Some((if c.is_control() { Cow::Borrowed("") } else { Cow::Owned(c.to_string()) }, length))
    };
    match rest.as_bytes() {
        [b'&', b'#', b'x' | b'X', ..] => ended(digits(3, 16, 8)?),
        [b'&', b'#', ..] => ended(digits(2, 10, 8)?),
        [b'\\', b'u', b'{', ..] => {
            let (c, end) = digits(3, 16, 6)?;
            (rest.as_bytes().get(end) == Some(&b'}')).then(|| (Cow::Owned(c.to_string()), end + 1))
        }
        [b'\\', b'u' | b'U', ..] => {
            digits(2, 16, 4).filter(|(_, end)| *end == 6).map(|(c, end)| (c.to_string().into(), end))
        }
        [b'\\', b'x' | b'X', ..] => {
            digits(2, 16, 2).filter(|(_, end)| *end == 4).map(|(c, end)| (c.to_string().into(), end))
        }
        [b'\\', b'0' | b'1', _, _, ..] => {
            digits(1, 8, 3).filter(|(_, end)| *end == 4).map(|(c, end)| (c.to_string().into(), end))
        }
        [b'\\', b'\\', b'0'..=b'9' | b'a'..=b'f', ..] | [b'\\', b'0'..=b'9', ..] => {
            let slashes = rest.bytes().take(2).take_while(|b| *b == b'\\').count();
            let (c, end) = digits(slashes, 16, 6)?;
            Some((c.to_string().into(), end))
        }
        [b'&', ..] => {
            let named = |(name, _): &&(&str, &str)| {
                rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
            };
            let (name, decoded) = NAMED.iter().find(named)?;
            let end = name.len();
            Some((Cow::Borrowed(*decoded), end + usize::from(rest.as_bytes().get(end) == Some(&b';'))))
        }
        _ => None,
    }
}

#[cfg(test)]
pub(super) fn rules() -> &'static Rules {
    &RULES
}

#[cfg(test)]
#[test]
fn every_rule_compiles() {
    RULES.assert_compiled(18);
}

#[cfg(test)]
#[test]
fn escapes_of_markup_and_scripts_are_read() {
    for (text, want) in [
        ("&lt;b&gt &#x3c;&#60 &#0000060;", Some("<b> << <")),
        (r"\u003cb\x3e \u{61} \74", Some("<b> a t")),
        ("jav&#10;ascript&colon;a", Some("javascript:a")),
        ("a & b \\ c", None),
        ("&", None),
        ("&#xFFFFFFFF; &lt", Some("&#xFFFFFFFF; <")),
    ] {
        assert_eq!(unescape(text).as_deref(), want);
    }
}
