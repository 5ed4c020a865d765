//! Values that end an argument of a shell and go on as a command.

use std::sync::LazyLock;

use super::rules::Rules;

/// What may stand between a command and what it is separated by: spaces, `${IFS}`, quotes and backslashes inside names.
static RULES: LazyLock<Rules> = LazyLock::new(|| {
    const GAP: &str = r"(?:\s|\$\{?IFS\}?|\$@|\\\n){0,8}";
    const UNIX: &str = r"(?:cat|tac|ls|id|whoami|who|uname|hostname|wget|curl|lynx|nc|ncat|netcat|socat|telnet|ssh|scp|ftp|tftp|bash|sh|zsh|ksh|csh|dash|busybox|python[23]?|perl|ruby|php|node|lua|gcc|ping[6]?|nslookup|dig|host|traceroute|sleep|rm|mv|cp|ln|chmod|chown|kill|pkill|killall|ps|top|netstat|ss|ifconfig|ip|route|arp|echo|printf|head|tail|less|more|tee|find|grep|egrep|awk|sed|base64|xxd|od|strings|openssl|env|printenv|export|set|eval|exec|sudo|su|passwd|crontab|at|mail|touch|mkdir|mkfifo|mknod|dd|tar|zip|unzip|gzip|xargs|nohup|time|watch|pwd|cd|df|du|mount|lsof|last|w|date|uptime|history|alias|source|docker|kubectl|systemctl|service|reboot|shutdown|halt)";
    const WINDOWS: &str = r"(?:cmd(?:\.exe)?|powershell(?:\.exe)?|pwsh|dir|type|net|netsh|tasklist|taskkill|ipconfig|systeminfo|certutil|bitsadmin|mshta|regsvr32|rundll32|wmic|wscript|cscript|reg|sc|schtasks|whoami|ver|del|copy|xcopy|attrib|findstr|nslookup|ping|echo|set|start|ftp|telnet)";
    const END: &str = r"(?:\s|$|[;&|<>`)'\x22]|\$)";
    let path = r"(?:[\w./~?*\[\]-]{0,64}/)?";
    let quoted = r"[\x22'\\]?";
    let patterns = [
        // ; cat /etc/passwd   | id   && whoami   `id`   $(id)
        format!(r"(?i)(?:[;|&`\n\r{{]|\$\(|<\(|>\(|^\s{{0,4}}\(){GAP}(?:\w{{1,16}}=\S{{0,32}}\s{{1,4}})?{quoted}{path}{UNIX}{quoted}{END}"),
        format!(r"(?i)(?:[|&\n\r]|^\s{{0,4}}){GAP}{quoted}{WINDOWS}{quoted}\s{{1,4}}(?:/[a-z?]|-[a-z]{{2,}}|[a-z]:\\|\\\\|%\w{{1,32}}%|user\b|localgroup\b)"),
        // $(…) and `…` with more than a name in it, ${IFS}, brace expansion of a command
        r"\$\{?IFS\}?".to_owned(),
        format!(r"(?i)\{{{UNIX},[^}}\s]{{1,128}}\}}"),
        // Names of interpreters with what they are to run
        r"(?i)\b(?:bash|sh|zsh|ksh|python[23]?|perl|ruby|php|node|powershell|cmd)(?:\.exe)?\s{1,4}(?:-[cer]|-enc\w{0,16}|/c)\s{1,4}\S".to_owned(),
        r"(?i)/(?:usr/(?:local/)?)?s?bin/[a-z0-9._-]{1,24}(?:\s|$|[;&|<>`)'\x22$])".to_owned(),
        r"(?i)/(?:b[?*i\[]{1,3}|[?*]{1,3})/[a-z?*\[\]]{1,16}\s".to_owned(),
        r"(?i)/dev/(?:tcp|udp)/".to_owned(),
        // Shellshock
        r"\(\s{0,4}\)\s{0,4}\{\s{0,8}[^}]{0,16}[:;]".to_owned(),
        // Code of PHP and others that runs commands
        r"(?i)\b(?:system|passthru|shell_exec|popen|proc_open|pcntl_exec|os\.system|subprocess\.\w{1,16}|Runtime\.getRuntime|ProcessBuilder|child_process)\b\s{0,4}[.(]".to_owned(),
        r"(?i)\$\{(?:jndi|env|sys|lower|upper|java|date|::-)[^}]{0,64}:".to_owned(),
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
    RULES.assert_compiled(11);
}
