//! Values that end an argument of a shell and go on as a command, or that a template or an interpreter would run.

use std::sync::LazyLock;

use super::rules::Rules;
use super::{SURE, has_any, shell};

/// Commands that are no words of English. Behind a separator nothing else need follow.
const COMMANDS: &str = r"(?:ansible(?:-\w{2,16})?|aptitude|apt-get|arp|ash|awk|base32|base64|basenc|bash|bsdtar|bunzip2|busybox|bzip2|bzcat|c[89]9|capsh|cat|certutil|chef-\w{2,16}|chgrp|chmod|chown|chroot|clang|cpan|cpulimit|crontab|cscli|csh|csplit|curl|dash|dd|df|dig|dmesg|dpkg|du|echo|egrep|env|fgrep|flock|ftp|gawk|gcc[\d.]{0,6}|gdb|gem|genisoimage|git|go|grep|groupadd|gunzip|gzip|hexdump|hostname|hping3|htop|iconv|id|ifconfig|iftop|insmod|ip|iptables|irb|jjs|journalctl|jq|jrunscript|killall5?|kmod|ksh|last(?:b|log|login|comm)|ld\.so|ll|ln|loginctl|logsave|ls|lsb_release|lsof|lsmod|lspci|lua|lwp-\w{2,16}|lynx|lz\w{2,6}|mawk|mkdir|mkfifo|mknod|modprobe|mtr|mv|mysql(?:dump)?|nano|nasm|nawk|nc|nc\.\w{2,16}|ncat|netcat|netstat|ngrep|nice|nmap|node|nohup|npm|nroff|nsenter|nslookup|openssl|passwd|pdksh|perl5?|pgrep|php[57]?|pico|pidof|ping6?|pip[x23]?|pkexec|pkill|poweroff|printenv|ps|psql|ptx|pwd|python[23]?(?:\.\d{1,2})?|rbash|readelf|readlink|rlogin|rlwrap|rm|rmdir|rmt(?:-\w{2,8})?|rmuser|rpm|rsync|ruby|rvim|scp|sed|setarch|sftp|sh|shuf|smbclient|socat|sqlite3|ssh(?:-\w{2,12})?|start-stop-daemon|stdbuf|strace|su|sudo|sysctl|systemctl|tac|tail|tailf|tar|taskset|tclsh|tcpdump|tcping|tcsh|telnet|tftp|tmux|traceroute6?|tshark|ulimit|umount|uname|unexpand|uniq|unlink|unlzma|unrar|unset|unxz|unzip|uptime|useradd|userdel|usermod|valgrind|vi|vim|vimdiff|visudo|vmstat|wget|whereis|whoami|whois|xargs|xterm|xxd|xz\w{0,6}|zcat|zip|zsh|zstd\w{0,6}|zypper|rundll32|regsvr32|mshta|wmic|powershell(?:\.exe)?|pwsh|cmd(?:\.exe)?|systeminfo|tasklist|taskkill|ipconfig|net\s{1,4}(?:user|localgroup|view|start|use|share|group)|netsh|bitsadmin|wscript|cscript|schtasks|regedit|doskey|diskshadow|forfiles|findstr|xcopy|robocopy|iwr|iex|iwmi|irm|gwmi|gcm|sajb)";
/// Commands that are words of English too: an option, a path or the end of the command has to follow.
const WORDS: &str = r"(?:alias|apt|at|attrib|cd|chef|clear|column|comm|composer|copy|cp|crash|cut|date|declare|del|diff|dir|docker|ed|emacs|erase|eval|ex|exec|expand|expect|export|facter|file|find|finger|fmt|fold|halt|hash|head|history|host|hostid|install|ionice|join|kill|kubectl|last|less|look|mail|make|man|md|more|mount|move|nl|od|paste|perf|printf|pry|puppet|rake|rd|reboot|red|reg|rename|rev|route|sc|screen|script|service|shutdown|sleep|snap|sort|source|split|ss|start|stat|strings|sync|tee|test|time|timeout|top|touch|trap|true|type|ul|ver|view|w|watch|who|wish|yes|chcp)";
/// Bytes of which one is in every attack; in front of a command alone blanks will do.
const SIGNS: [bool; 256] = super::bytes(b";|&`\n\r{($/<\\%@!#>-\"'^");

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    // What may stand between a separator and its command: blanks, `${IFS}`, `!`, what is assigned first, and commands that run others.
    const GAP: &str = r"(?:\s|\$\{?IFS[^}\s]{0,4}\}?|\\\n|!|\(|\{\s|\w{1,16}=[^\s,;]{0,32}\s|(?:sudo|nohup|time|exec|command|builtin|eval|env|then|do|else|nice|busybox|watch|timeout\s{1,4}\d{1,4}|xargs|start)\s){0,6}";
    const PATH: &str = r"(?:[\w./~?*\[\]-]{0,64}/)?";
    const END: &str = r"(?:\s|$|[;&|<>`)}]|\$)";
    const ARGUMENT: &str = r"(?:\s{1,4}(?:--?\w|[~/.$%+|>&<;`\x22']|[\w.-]{1,64}(?:[./:=\\][\w\\]|[|;&>`])|\d{1,8}\s{0,4}(?:$|[;&|<>)`'\x22#]))|\s{0,4}(?:[;&|<>`)}]|$)|\$\{?IFS|<<<)";
    let patterns = [
        // ; cat /etc/passwd   | id   && whoami   `id`   $(id)
        format!(r"(?i)(?:[;|&]|(?:^|[\w=;|&/.-])`|\{{\s|\$\(|<\(|>\(|^\s{{0,4}}\(){GAP}{PATH}{COMMANDS}{END}"),
        format!(r"(?i)(?:[;|&\n\r]|(?:^|[\w=;|&/.-])`|\{{\s|\$\(|<\(|>\(|^\s{{0,4}}\(){GAP}{PATH}(?:{COMMANDS}|{WORDS}){ARGUMENT}"),
        // A value that is a command which nobody means well by
        r"(?i)^\W{0,4}(?:(?:sudo|nohup|time|env|busybox|nice|command|exec)\s{1,4}){0,4}(?:/[\w./-]{0,64}/)?(?:(?:cat|tac|nl|head|tail|less|more|ls|ll|cp|find|xxd|base64|strings|type|[gz]?zip|gunzip|zcat|zstdcat|uconv|grep|sed|awk)\s{1,4}(?:-{1,2}\S{1,16}\s{1,4}){0,4}\S{0,16}/(?:etc|proc|var|root|sys|boot|home|dev)\b|(?:nc|ncat|netcat|socat|telnet)(?:\.\w{1,16})?\s[^\n]{0,64}?(?:-[a-z]{0,4}[elc]\b|\b\d{2,5}\b|exec:)|(?:curl|wget)\s[^\n]{0,128}?(?:\||\x60|\$\(|-o\s|--post|-d\s{0,2}@|@/)|(?:ba|z|k|da|c)?sh\s{1,4}-i\b|rm\s{1,4}-\w{0,4}[rf]\w{0,4}\s{1,4}[/~*]|chmod\s{1,4}(?:\+[xs]|[0-7]{3,4})\s{1,4}[/~]|dd\s{1,4}if=|mkfifo\s|(?:un)?set\s{1,4}histfile|[cg]\+?\+?(?:89|99|cc)\s{1,4}-wrapper)".to_owned(),
        // ${IFS}, brace expansion of a command
        r"\$\{?IFS\b|\$\{\w{1,16}(?:[#%/^,@!~]|:\d{1,2}:\d)[^}\s]{0,32}\}".to_owned(),
        format!(r"(?i)\{{{COMMANDS},[^}}\s]{{1,128}}\}}|^\S{{0,8}}\{{,[^}}]{{1,64}}\}}"),
        format!(r"(?i)(?:\$\(|^\s{{0,4}}`)\s{{0,4}}{WORDS}\s"),
        // Parameters that are empty inside of a name
        r"[A-Za-z/](?:\$[@*!?]|\$\(\)|\$\{\}|\x60\x60)[a-z/]".to_owned(),
        // Names of interpreters with what they are to run
        r"(?i)(?:\b(?:bash|sh|zsh|ksh|dash|python[23]?|perl|ruby|php|node|lua|busybox|powershell|cmd)(?:\.exe)?|\$\{?SHELL\}?)\s{1,4}(?:-[cer]|-enc\w{0,16}|-ec|/c)\s{1,4}\S".to_owned(),
        r"(?i)(?:^|[^!\w])/(?:usr/(?:local/)?)?s?bin/[a-z0-9._-]{1,24}(?:\s|$|[;&|<>`)'\x22$])".to_owned(),
        // Paths of wildcards
        r"(?:^|[\s;|&(<'\x22=])/[\w]{0,8}[?\[][\w?*\[\]!/-]{0,16}/[\w?*\[\]!/-]{1,32}|(?:^|[\s;|&(<'\x22=])/(?:\?{2,8}|\w{1,3}\*)/[\w?*]{0,16}[?*\w]|/(?:etc|bin|usr|dev|proc|sbin|var|tmp)/[\w/]{0,32}[?\[]!?[\w\]?]|/bin?\[|/bi?\[".to_owned(),
        r"(?i)/dev/(?:tcp|udp)/\w".to_owned(),
        // Shellshock
        r"\(\s{0,4}\)\s{0,4}\{\s{0,8}(?:[:;]|_;|\w{1,8};\s{0,4}\}\s{0,4};)|^\s{0,4}\(\s{0,4}\)\s{0,4}\{".to_owned(),
        // Programs in variables: a=nc&&$a -lvp 1
        r"\b(\w{1,16})=[\w/.\\-]{1,64}\s{0,4}(?:;|&&?|\|\|?)[^\n]{0,128}?\$\{?\w{1,16}\}?(?:\s|\$|[/;&|]|$)".to_owned(),
        r"(?i)^\s{0,4}alias\s{1,4}(?:[-+]\w{1,4}\+?\s{1,4}){0,4}['\x22]?[\w.-]{1,32}['\x22]?=".to_owned(),
        r"(?i)\bhistory\s{1,4}-c\b|\bset\s{1,4}[-+]o\s{1,4}history|\{php\}|(?:^|[;&|\s])\.(?:shell|system)\s{1,4}\w".to_owned(),
        // Windows: for %a in (…) do, if exist …, cmdlets
        r"(?i)\bfor\s{1,16}(?:/[dflr]\s{1,16}(?:[^\s%]{1,64}\s{1,16}){0,4}){0,4}%{1,2}\S{0,2}\s{1,8}in\s{0,8}\(".to_owned(),
        r"(?i)^\W{0,4}if\s{0,16}(?:/i\s{1,16})?(?:not\s{1,16})?(?:exist\s{1,16}[\x22(]?[\w:\\.*%~]{1,64}[\x22)]?\s{1,16}[\w(@]|(?:defined|errorlevel|cmdextversion)\s{1,16}\S{1,64}\s{1,16}[\w(]|[\x22'(\[{]?[%!][~:,\w-]{1,32}[%!]?[\x22')\]}]?\s{0,8}(?:==|\b(?:equ|neq|lss|leq|gtr|geq)\b)|[\x22(\[]?\w{1,16}[\x22)\]]?\s{1,16}(?:equ|neq|lss|leq|gtr|geq)\s)".to_owned(),
        r"(?i)\b(?:invoke-(?:expression|webrequest|restmethod|command|item|wmimethod|cimmethod|mimikatz|shellcode)|start-(?:process|bitstransfer)|new-object\s{1,4}(?:-\w{1,16}\s{1,4})?(?:system\.)?net\.|set-executionpolicy|get-(?:wmiobject|ciminstance)|add-mppreference)\b|\b(?:downloadstring|downloadfile|frombase64string)\s{0,4}\(|-executionpolicy\s{1,4}bypass|\biex\s{0,4}[($]|\s-w(?:indowstyle)?\s{1,4}hidden\b|system\.diagnostics\.process|\bnet\.webclient\b".to_owned(),
        r"(?i)%(?:comspec|systemroot|windir|programdata|appdata|temp)(?::~[\d,-]{1,8})?%".to_owned(),
        // Code of PHP and others that runs commands
        r"(?i)\b(?:passthru|shell_exec|popen|proc_open|pcntl_exec|os\.system|subprocess\.\w{1,16}|Runtime\.getRuntime|ProcessBuilder|child_process|process\.mainModule|os\.popen|commands\.getoutput|__import__)\b['\x22)]{0,2}\s{0,4}[.(]|\bsystem\s{0,4}\(\s{0,4}['\x22$]".to_owned(),
        r"(?i)\$\{@?\s{0,4}(?:print|system|phpinfo|eval|passthru|exec|sleep|var_dump)\s{0,4}\(|\bphpinfo\s{0,4}\(\s{0,4}\)|^\W{0,8}(?:eval|assert|exec)\s{0,4}\(\s{0,4}(?:base64_decode|compile|str_rot13|gzinflate|\$_|__import__|require)".to_owned(),
        // Look-ups of loggers
        r"(?i)\$\{[^}\s]{0,24}jndi|\$\{\s{0,4}(?:lower|upper|env|sys|java|date|ctx|main|bundle|base64|k8s|docker|log4j|spring|web|marker)\s{0,4}:|\$\{::?-|(?:\$\{[^}$\s]{0,12}:-[^}\s]{1,4}\}){2}|%\w{0,4}\{jndi:".to_owned(),
        // Templates and languages of expressions
        r"(?i)(?:\{\{|\{%|<%=?|\$\{|#\{|\*\{|%\{|@\()\s{0,4}[-(]{0,2}\s{0,4}(?:\d{1,10}\s{0,4}\*\s{0,4}['\x22]?\d|[^}]{0,128}(?:__class__|__mro__|__subclasses__|__globals__|__builtins__|__init__|\.getClass\(|java\.lang|T\(java|_memberAccess|getRuntime|freemarker\.template|lipsum\.|cycler\.|joiner\.|self\._TemplateReference|\.constructor\.constructor|_self\.env|registerUndefinedFilterCallback|\|\s{0,4}attr\s{0,4}\(|config\.items|request\.application|process\.env))".to_owned(),
        r"(?i)\(?#_memberAccess|#context\[|@java\.lang\.|\bT\(java\.|\.getRuntime\(\)|\bclass\.module\.classLoader|\(#\w{1,16}=(?:@|#|new\s)|<%=?\s{0,4}(?:system|exec|`|IO\.popen|File\.)|#set\s{0,2}\(\s{0,4}\$\w{1,16}\s{0,4}=\s{0,4}\$".to_owned(),
        // Lines of mail
        r"(?i)\r\n\s{0,4}(?:(?:ehlo|helo)\s{1,4}\S|mail\s{1,4}from:|rcpt\s{1,4}to:|data\s{0,2}(?:\r\n|$)|quit\s{0,4}$|[a-z]{1,4}\d{1,4}\s{1,4}(?:append|authenticate|status|uid|examine|copy|list|search|store|fetch|select|login|create|delete|rename)\b|(?:retr|dele|apop|auth|top|stat|list)\s{1,4}[\w\s=]{1,128}$)".to_owned(),
    ];
    Rules::new(&patterns)
});

pub(super) fn score(text: &str) -> u8 {
    const VALUE: usize = 256;
    if text.len() > VALUE && !has_any(text, &SIGNS) {
        return 0;
    }
    let plain = RULES.score(text);
    if plain == SURE {
        return plain;
    }
    shell::respelled(text).map_or(plain, |text| plain.max(RULES.score(&text)))
}

#[cfg(test)]
pub(super) fn rules() -> &'static Rules {
    &RULES
}

#[cfg(test)]
#[test]
fn every_rule_compiles() {
    RULES.assert_compiled(25);
}
