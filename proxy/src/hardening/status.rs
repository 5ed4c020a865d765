//! `/proc/<pid>/task/<tid>/status`, as far as it says what a thread may do (proc_pid_status(5)).

/// What one thread may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Status {
    /// Real, effective, saved and of the file system.
    pub(super) users: Vec<u32>,
    /// The same four, and the supplementary ones.
    pub(super) groups: Vec<u32>,
    /// Effective, permitted and ambient ones together.
    pub(super) capabilities: u64,
    pub(super) no_new_privileges: bool,
    /// Mode 2; mode 1 would not let us serve.
    pub(super) seccomp_filter: bool,
}

impl Status {
    /// Reads the text of the file. What is not there or not understood is an error: it is not taken for good.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let mut groups = four(text, "Gid")?;
        groups.extend(numbers(text, "Groups")?);
        let mut capabilities = 0;
        for set in ["CapEff", "CapPrm", "CapAmb"] {
            let value = value(text, set)?;
            capabilities |= u64::from_str_radix(value, 16).map_err(|_| unclear(set, value))?;
        }
        Ok(Self {
            users: four(text, "Uid")?,
            groups,
            capabilities,
            no_new_privileges: value(text, "NoNewPrivs")? == "1",
            seccomp_filter: value(text, "Seccomp")? == "2",
        })
    }
}

/// The one value of a name.
fn value<'t>(text: &'t str, name: &str) -> Result<&'t str, String> {
    let mut found = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    match (found.next(), found.next()) {
        (Some(value), None) => Ok(value.trim()),
        (None, _) => Err(format!("the kernel does not tell `{name}`")),
        (Some(_), Some(_)) => Err(format!("`{name}` stands twice")),
    }
}

fn numbers(text: &str, name: &str) -> Result<Vec<u32>, String> {
    let value = value(text, name)?;
    value.split_ascii_whitespace().map(|number| number.parse().map_err(|_| unclear(name, value))).collect()
}

fn four(text: &str, name: &str) -> Result<Vec<u32>, String> {
    let ids = numbers(text, name)?;
    if ids.len() == 4 { Ok(ids) } else { Err(unclear(name, value(text, name)?)) }
}

fn unclear(name: &str, value: &str) -> String {
    format!("`{name}: {value}` is not understood")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tpostern\nUmask:\t0077\nState:\tS (sleeping)\nUid:\t65532\t65532\t65532\t65532\n\
        Gid:\t65532\t65532\t65532\t65532\nFDSize:\t64\nGroups:\t \nCapInh:\t0000000000000000\nCapPrm:\t0000000000000400\n\
        CapEff:\t0000000000000400\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n\
        Seccomp_filters:\t3\n";

    #[test]
    fn what_the_kernel_tells_is_read() {
        let status = Status::read(TEXT).unwrap();
        assert_eq!((status.users.as_slice(), status.groups.as_slice()), ([65532; 4].as_slice(), [65532; 4].as_slice()));
        assert_eq!(status.capabilities, 0x400);
        assert!(status.no_new_privileges && status.seccomp_filter);
        for (from, to, want) in [
            (
                "Uid:\t65532\t65532\t65532",
                "Uid:\t65532\t0\t0",
                Status { users: vec![65532, 0, 0, 65532], ..status.clone() },
            ),
            (
                "Groups:\t ",
                "Groups:\t4 0 27 ",
                Status { groups: vec![65532, 65532, 65532, 65532, 4, 0, 27], ..status.clone() },
            ),
            (
                "CapAmb:\t0000000000000000",
                "CapAmb:\t0000000000000002",
                Status { capabilities: 0x402, ..status.clone() },
            ),
            (
                "CapEff:\t0000000000000400",
                "CapEff:\t000001fffeffffff",
                Status { capabilities: 0x1ff_feff_ffff, ..status.clone() },
            ),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0", Status { no_new_privileges: false, ..status.clone() }),
            ("Seccomp:\t2", "Seccomp:\t1", Status { seccomp_filter: false, ..status.clone() }),
            ("Seccomp:\t2", "Seccomp:\t0", Status { seccomp_filter: false, ..status.clone() }),
        ] {
            assert_eq!(Status::read(&TEXT.replace(from, to)), Ok(want), "{to}");
        }
    }

    #[test]
    fn what_is_not_told_clearly_is_not_taken_for_good() {
        for name in ["Uid", "Gid", "Groups", "CapEff", "CapPrm", "CapAmb", "NoNewPrivs", "Seccomp"] {
            let without: String = TEXT
                .lines()
                .filter(|line| !line.starts_with(&format!("{name}:")))
                .map(|line| format!("{line}\n"))
                .collect();
            assert!(Status::read(&without).unwrap_err().contains(name), "{name}");
        }
        for (from, to) in [
            ("Uid:\t65532\t65532\t65532\t65532", "Uid:\t65532\t65532\t65532"),
            ("Gid:\t65532", "Gid:\t-1"),
            ("CapEff:\t0000000000000400", "CapEff:\t"),
            ("CapPrm:\t0000000000000400", "CapPrm:\tnone"),
            ("Groups:\t ", "Groups:\tstaff"),
            ("Seccomp:\t2", "Seccomp:\t2\nSeccomp:\t0"),
        ] {
            assert!(Status::read(&TEXT.replace(from, to)).is_err(), "{to}");
        }
        assert!(Status::read("").is_err());
    }
}
