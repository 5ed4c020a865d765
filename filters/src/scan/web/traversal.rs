//! Values that lead out of a folder, to a file of the system, or to where files come from elsewhere.

use std::sync::LazyLock;

use super::rules::Rules;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let patterns = [
        // ../../   ..\..\   ..;/   ....//
        r"(?:^|[/\\=:\s\x22'(])\.{2,4}(?:;[^/\\]{0,16})?[/\\]{1,4}(?:\.{1,4}[/\\]{1,4}){1,64}",
        r"(?i)(?:^|[/\\=:\s\x22'(])\.\.(?:;[^/\\]{0,16})?[/\\]{1,4}(?:[a-z0-9_.-]{1,32}[/\\]){0,8}(?:etc|proc|sys|var|usr|root|home|boot|windows|winnt|web-inf|meta-inf|\.\w)",
        // A value that is nothing but a step up
        r"^\s{0,4}\.\.(?:[/\\]|$)",
        r"[/\\]\.\.(?:[/\\]|;|$)",
        r"(?i)(?:0x2e|%u002e|%2e|%c0%ae|\x{FF0E}|\x{2024}){2}(?:0x2f|0x5c|%u2215|%u2216|%2f|%5c|[/\\])",
        // Files that only an attacker asks for
        r"(?i)/etc/(?:passwd|shadow|group|hosts|hostname|issue|sudoers|fstab|crontab|ssh/|nginx/|apache2?/|httpd/|mysql/|php|resolv\.conf|master\.passwd|security/)",
        r"(?i)/proc/(?:self|version|cmdline|mounts|net/|sched_debug|\d{1,8}/)",
        r"(?i)(?:^|[/\\])(?:boot\.ini|win\.ini|system\.ini|web\.config|wp-config\.php|\.htaccess|\.htpasswd|\.bash_history|id_rsa|\.ssh/|\.git/(?:config|HEAD)|\.env$|\.aws/credentials)",
        r"(?i)[a-z]:\\(?:windows|winnt|inetpub|boot)|\\system32\\",
        r"(?i)/var/(?:log|lib|run)/[a-z0-9_./-]{1,128}\.(?:log|sock|conf|db)|/root/\.",
        // Wrappers
        r"(?i)\b(?:php|phar|zip|zlib|bzip2|glob|expect|ogg|rar|ssh2|compress\.\w{1,8})://",
        r"(?i)\bfile:/{1,3}",
        r"(?i)\bdata:(?:text|application)/[a-z0-9_.+-]{1,32};base64,PD9",
        // A file from elsewhere as the whole of a parameter
        r"(?i)^(?:ht|f)tps?://[^\s?#]{1,256}(?:\.(?:txt|php\d?|phtml|gif|jpe?g|png|inc|sh|pl|asp)\?{1,2}|\?{1,2}$)",
        r"(?i)^(?:ht|f)tps?://\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/[^\s]{0,256}$",
        r"\x00",
    ];
    Rules::new(&patterns)
});

pub(super) fn score(text: &str) -> u8 {
    RULES.score(text)
}

#[cfg(test)]
pub(super) fn rules() -> &'static Rules {
    &RULES
}

#[cfg(test)]
#[test]
fn every_rule_compiles() {
    RULES.assert_compiled(16);
}
