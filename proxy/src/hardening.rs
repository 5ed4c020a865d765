//! `self` of WorkloadSecurityPolicy: whether our own process is confined. What it can give up by itself it gives up first; then
//! what is there is looked at, and what is missing is told with the setting that gives it.

mod filter;
mod status;

use std::fmt;
use std::path::Path;
use std::sync::OnceLock;

use postern_config::Harden;
use rustix::fs::{StatVfsMountFlags, statvfs};
use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
use tracing::{info, warn};

use status::Status;

/// The one capability that a proxy may keep: ports below 1024.
const NET_BIND_SERVICE: u32 = 10;

/// Why the process may not serve.
#[derive(Debug, thiserror::Error)]
#[error("the process is not confined, and a WorkloadSecurityPolicy demands it (`self.harden: Require`):{}", listed(.0))]
pub struct HardenError(Vec<Missing>);

/// One thing that is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Missing {
    User(Vec<u32>),
    Group(Vec<u32>),
    /// Bits of capabilities.
    Capabilities(u64),
    NoNewPrivileges,
    /// Why our own filter is not there, if that is known.
    Seccomp(Option<String>),
    ReadOnlyRoot,
    CoreDumps,
    Dumpable,
    /// It could not be found out.
    Unknown(String),
}

impl Missing {
    /// What stands in metrics and log fields.
    fn name(&self) -> &'static str {
        match self {
            Self::User(_) => "user",
            Self::Group(_) => "group",
            Self::Capabilities(_) => "capabilities",
            Self::NoNewPrivileges => "no_new_privileges",
            Self::Seccomp(_) => "seccomp",
            Self::ReadOnlyRoot => "read_only_root",
            Self::CoreDumps => "core_dumps",
            Self::Dumpable => "dumpable",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(ids) => write!(
                f,
                "it runs as root (real, effective, saved and file system user {ids:?}); run it as a user of its own: `--user 65532:65532` of \
                 docker, `runAsNonRoot: true` and `runAsUser` of a pod, `User=` of systemd"
            ),
            Self::Group(ids) => write!(
                f,
                "it is in the group of root (groups {ids:?}); give it a group of its own: `--user 65532:65532` of docker, `runAsGroup` of a pod, \
                 `Group=` of systemd"
            ),
            Self::Capabilities(bits) => write!(
                f,
                "it has capabilities ({bits:#x}) besides CAP_NET_BIND_SERVICE; drop them: `--cap-drop ALL` of docker, \
                 `capabilities: {{drop: [ALL]}}` of a container, `CapabilityBoundingSet=` and `AmbientCapabilities=` of systemd"
            ),
            Self::NoNewPrivileges => write!(
                f,
                "it could gain privileges; forbid it: `--security-opt no-new-privileges` of docker, `allowPrivilegeEscalation: false` of a \
                 container, `NoNewPrivileges=yes` of systemd"
            ),
            Self::Seccomp(why) => {
                write!(f, "not every thread has a seccomp filter")?;
                if let Some(why) = why {
                    write!(f, " (our own: {why})")?;
                }
                write!(
                    f,
                    "; allow the system call `seccomp`, or give it a filter: docker's default, `seccompProfile: {{type: RuntimeDefault}}` of a \
                     pod, `SystemCallFilter=@system-service` of systemd"
                )
            }
            Self::ReadOnlyRoot => write!(
                f,
                "its root file system can be written to; mount it read-only, with a volume for `state.dir`: `--read-only` of docker, \
                 `readOnlyRootFilesystem: true` of a container, `ProtectSystem=strict` with `ReadWritePaths=` or `StateDirectory=` of systemd"
            ),
            Self::CoreDumps => write!(
                f,
                "it may leave core dumps, which hold keys; set the limit `core` to 0 (`LimitCORE=0` of systemd)"
            ),
            Self::Dumpable => write!(
                f,
                "other processes of its user may read its memory; start it with `postern run`, which forbids that"
            ),
            Self::Unknown(why) => write!(f, "how it is confined cannot be found out: {why}; mount /proc"),
        }
    }
}

fn listed(missing: &[Missing]) -> String {
    missing.iter().map(|missing| format!("\n  {missing}")).collect()
}

/// Gives up what can be given up, and judges what is left. `None` where nothing is demanded, else the demand and whether nothing
/// is missing.
///
/// # Errors
/// [`HardenError`] where something is missing that is required.
pub(crate) fn enforce(demand: Option<Harden>) -> Result<Option<(Harden, bool)>, HardenError> {
    let Some(demand) = demand else { return Ok(None) };
    let filter = confine();
    let missing = Facts::gather(filter).map_or_else(|why| vec![Missing::Unknown(why)], |facts| facts.missing());
    if missing.is_empty() {
        info!("the process is confined as `self.harden` demands");
        return Ok(Some((demand, true)));
    }
    if demand == Harden::Require {
        return Err(HardenError(missing));
    }
    for missing in missing {
        warn!("error.type" = missing.name(), "the process is not confined: {missing}");
    }
    Ok(Some((demand, false)))
}

/// Once in the life of a process: a second filter would add nothing but time.
fn confine() -> Result<(), String> {
    static DONE: OnceLock<Result<(), String>> = OnceLock::new();
    DONE.get_or_init(filter::install).clone()
}

/// How the process is confined, as the kernel tells it.
#[derive(Debug, Clone)]
struct Facts {
    /// Of every thread: each has its own.
    threads: Vec<Status>,
    /// Whether our own filter is there.
    filter: Result<(), String>,
    read_only_root: bool,
    core_dumps: bool,
    dumpable: bool,
}

impl Facts {
    fn gather(filter: Result<(), String>) -> Result<Self, String> {
        let root = statvfs("/").map_err(|error| format!("`/`: {error}"))?;
        let dumpable = dumpable_behavior().map_err(|error| format!("prctl: {error}"))?;
        Ok(Self {
            threads: threads(Path::new("/proc/self/task"))?,
            filter,
            read_only_root: root.f_flag.contains(StatVfsMountFlags::RDONLY),
            core_dumps: getrlimit(Resource::Core).current != Some(0),
            dumpable: dumpable != DumpableBehavior::NotDumpable,
        })
    }

    fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        let root_in =
            |ids: fn(&Status) -> &[u32]| self.threads.iter().map(ids).find(|ids| ids.contains(&0)).map(<[u32]>::to_vec);
        missing.extend(root_in(|status| &status.users).map(Missing::User));
        missing.extend(root_in(|status| &status.groups).map(Missing::Group));
        let held = self.threads.iter().fold(0, |held, status| held | status.capabilities) & !(1 << NET_BIND_SERVICE);
        if held != 0 {
            missing.push(Missing::Capabilities(held));
        }
        if !self.threads.iter().all(|status| status.no_new_privileges) {
            missing.push(Missing::NoNewPrivileges);
        }
        if !self.threads.iter().all(|status| status.seccomp_filter) {
            missing.push(Missing::Seccomp(self.filter.clone().err()));
        }
        if !self.read_only_root {
            missing.push(Missing::ReadOnlyRoot);
        }
        if self.core_dumps {
            missing.push(Missing::CoreDumps);
        }
        if self.dumpable {
            missing.push(Missing::Dumpable);
        }
        missing
    }
}

/// The status of every thread, at least one. A thread that ends meanwhile is left out.
fn threads(tasks: &Path) -> Result<Vec<Status>, String> {
    let unreadable = |error: std::io::Error| format!("`{}`: {error}", tasks.display());
    let mut all = Vec::new();
    for task in std::fs::read_dir(tasks).map_err(unreadable)? {
        match std::fs::read_to_string(task.map_err(unreadable)?.path().join("status")) {
            Ok(text) => all.push(Status::read(&text)?),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    if all.is_empty() { Err(format!("`{}` names no thread", tasks.display())) } else { Ok(all) }
}

fn is_gone(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confined() -> Status {
        Status {
            users: vec![65532; 4],
            groups: vec![65532, 65532, 65532, 65532, 2000],
            capabilities: 1 << NET_BIND_SERVICE,
            no_new_privileges: true,
            seccomp_filter: true,
        }
    }

    fn facts(threads: Vec<Status>) -> Facts {
        Facts { threads, filter: Ok(()), read_only_root: true, core_dumps: false, dumpable: false }
    }

    #[test]
    fn each_thing_that_is_missing_is_told_with_a_way_out() {
        assert_eq!(facts(vec![confined(), confined()]).missing(), []);
        let changed = |change: fn(&mut Facts)| {
            let mut facts = facts(vec![confined(), confined()]);
            change(&mut facts);
            facts.missing()
        };
        for (found, want) in [
            (changed(|f| f.threads[1].users[2] = 0), Missing::User(vec![65532, 65532, 0, 65532])),
            (changed(|f| f.threads[0].groups[4] = 0), Missing::Group(vec![65532, 65532, 65532, 65532, 0])),
            (changed(|f| f.threads[1].capabilities = 0x600), Missing::Capabilities(0x200)),
            (changed(|f| f.threads[1].no_new_privileges = false), Missing::NoNewPrivileges),
            (changed(|f| f.threads[1].seccomp_filter = false), Missing::Seccomp(None)),
            (changed(|f| f.read_only_root = false), Missing::ReadOnlyRoot),
            (changed(|f| f.core_dumps = true), Missing::CoreDumps),
            (changed(|f| f.dumpable = true), Missing::Dumpable),
        ] {
            assert!(want.to_string().contains(';'), "{want} has no way out");
            assert_eq!(found, [want]);
        }
        // Somebody else's filter is one, too.
        let foreign = Facts { filter: Err("denied".to_owned()), ..facts(vec![confined()]) };
        assert_eq!(foreign.missing(), []);
    }

    #[test]
    fn everything_that_is_missing_stands_in_one_error() {
        let error = HardenError(vec![Missing::ReadOnlyRoot, Missing::Seccomp(Some("denied".to_owned()))]).to_string();
        assert_eq!(error.lines().count(), 3, "{error}");
        assert!(error.contains("--read-only") && error.contains("(our own: denied)"), "{error}");
    }

    #[test]
    fn this_process_is_read_and_what_cannot_be_read_is_told() {
        let facts = Facts::gather(Ok(())).unwrap();
        assert!(facts.threads.len() > 1, "the test's own thread is one of several");
        assert!(facts.missing().contains(&Missing::Dumpable), "nothing closed this process");
        assert!(threads(Path::new("/nowhere")).unwrap_err().contains("/nowhere"));
        let empty = tempfile::tempdir().unwrap();
        assert!(threads(empty.path()).unwrap_err().contains("no thread"));
    }
}
