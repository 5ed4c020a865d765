//! Values that lead out of a folder, to a file of the system, or to where files come from elsewhere.

use std::sync::LazyLock;

use super::has_any;
use super::rules::Rules;

/// Bytes of which one is in every attack that is longer than a name.
const SIGNS: [bool; 256] = super::bytes(b"/\\\0%");
const NAME: usize = 64;

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let patterns = [
        // ../../   ..\..\   ..;/   ....//
        r"(?:^|[/\\=:\s\x22'(])\.{2,4}(?:;[^/\\]{0,16})?[/\\]{1,4}(?:\.{1,4}[/\\]{1,4}){1,64}",
        r"(?i)(?:^|[/\\=:\s\x22'(])\.\.(?:;[^/\\]{0,16})?[/\\]{1,4}(?:[a-z0-9_.-]{1,32}[/\\]){0,8}(?:etc|proc|sys|var|usr|root|home|boot|windows|winnt|web-inf|meta-inf|\.\w)",
        r"(?:^|[/\\])\.\.;[/\\]|^\\\\[\w.-]{1,64}\\\w",
        // A value that is nothing but a step up
        r"^\s{0,4}\.\.(?:[/\\]|$)",
        r"[/\\]\.\.(?:[/\\]|;|$)",
        r"(?i)(?:0x2e|%u002e|%2e|%c0%ae|\xEF\xBC\x8E|\xE2\x80\xA4|\.){2}(?:0x2f|0x5c|%u2215|%u2216|%2f|%5c|\xE2\x88\x95|\xE2\x88\x96|\xE2\x81\x84)|0x(?:2f|5c)(?:0x2e|\.)|0x2e(?:0x2e|[./\\])",
        // Files that only an attacker asks for
        r"(?i)/etc/(?:passwd|shadow|gshadow|group|hosts|hostname|issue|sudoers|fstab|crontab|cron\.\w{1,8}|ssh/|nginx/|apache2?/|httpd/|mysql/|php|resolv\.conf|master\.passwd|security/|sub[ug]id|profile|bashrc|environment|services|inittab|motd|os-release|lsb-release|redhat-release|debian_version|machine-id|mtab|exports|pam\.d|init\.d|rc\.local|my\.cnf|vsftpd|proftpd|ftpusers|network/|sysconfig/|samba/|postfix/|ldap|krb5|kubernetes/|docker/|rancher/)",
        r"(?i)/proc/(?:self|version|cmdline|mounts|net/|sched_debug|sys/|cpuinfo|meminfo|\d{1,8}/)",
        r"^\s{0,4}/{1,4}(?:etc|proc|sys|boot|root)/[\w./*?\[\]-]{2}",
        r"(?i)(?:^|[/\\])(?:boot\.ini|win\.ini|system\.ini|web\.config|wp-config[._-]php|\.htaccess|\.htpasswd|\.bash_history|\.bashrc|\.mysql_history|id_rsa|id_dsa|id_ed25519|authorized_keys|\.ssh/|\.git/|\.svn/|\.env$|\.env\.\w{1,16}$|\.aws/|\.docker/|\.kube/|\.npmrc|\.netrc|\.boto|\.pgpass|\.s3cfg|\.config/gcloud|ntuser\.dat|php\.ini|sam$|WEB-INF[/\\]|META-INF[/\\])",
        r"(?i)[a-z]:[\\/]{1,2}(?:windows|winnt|inetpub|boot)|[\\/]system32[\\/]",
        r"(?i)/var/(?:log|lib|run|www)/[a-z0-9_./-]{1,128}\.(?:log|sock|conf|db|php|ini)|/var/log/[a-z0-9_./-]{1,64}$|/root/\.|/(?:apache2?|httpd|nginx)/(?:conf|logs?)/|/run/secrets/",
        // Wrappers
        r"(?i)\b(?:php|phar|zip|zlib|bzip2|glob|expect|ogg|rar|ssh2|compress\.\w{1,8})://",
        r"(?i)\bfile:/{1,3}",
        r"(?i)\bdata:(?://)?(?:text|application)/[a-z0-9_.+-]{1,32};base64,PD9",
        // A file from elsewhere as the whole of a parameter
        r"(?i)^(?:ht|f)tps?://[^\s?#]{1,256}(?:\.(?:txt|php\d?|phtml|gif|jpe?g|png|inc|sh|pl|asp)\?{1,2}|\?{1,2}$)",
        r"(?i)^(?:ht|f)tps?://\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}/[^\s]{0,256}$",
        r"\x00",
    ];
    Rules::new(&patterns)
});

pub(super) fn score(text: &str) -> u8 {
    if text.len() > NAME && !has_any(text, &SIGNS) {
        return 0;
    }
    RULES.score(text)
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
