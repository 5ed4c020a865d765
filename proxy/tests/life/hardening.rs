//! The process itself: `self.harden` is checked before anything listens, and what is written or listened on is for us alone.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::Command;

use tokio::task::block_in_place;

use crate::process::{BINARY, Process};
use crate::site::{Site, health};

/// A user that is not root.
const NOBODY: u32 = 65534;

fn hardening(harden: &str) -> String {
    format!(
        "apiVersion: secure.platformspec.io/v1alpha1\nkind: WorkloadSecurityPolicy\nmetadata: {{name: process}}\n\
         spec:\n  targetRefs: [{{kind: Gateway, name: site}}]\n  self: {{harden: {harden}}}\n...\n"
    )
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_not_confined_does_not_start_where_that_is_required() {
    let site = Site::new().await;
    site.write("manifests/process.yaml", &hardening("Require"));
    let mut process = Process::spawn(&site.config(), &[]);
    let ended = block_in_place(|| process.ended());
    let said = process.all();
    assert_eq!(ended.code(), Some(1), "{said}");
    // All of it at once, each with a way out; what it can do for itself it has done.
    let mut wanted = vec!["self.harden: Require", "--read-only"];
    if is_root() {
        wanted.extend(["runs as root", "group of root", "--cap-drop ALL", "runAsNonRoot: true"]);
    }
    for wanted in wanted {
        assert!(said.contains(wanted), "no `{wanted}`:\n{said}");
    }
    for done in ["privileges; forbid", "seccomp", "core dumps", "read its memory"] {
        assert!(!said.contains(done), "`{done}`:\n{said}");
    }
    assert!(process.address.is_none() && !site.path("state").exists(), "nothing was opened or made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_not_confined_says_so_where_that_is_enough_and_goes_on_confined_as_it_can_be() {
    let site = Site::new().await;
    let mut process = Process::serve(&site.config(), &[]);
    assert!(!health(process.health(), "/metrics").await.contains("postern_process_hardened{"), "nothing is demanded");

    // A reload that demands it confines the running process, too.
    site.write("manifests/process.yaml", &hardening("Warn"));
    process.signal("HUP");
    block_in_place(|| process.until("policy set taken over"));
    assert!(process.all().contains("the process is not confined: its root file system"), "{}", process.all());
    assert!(health(process.health(), "/metrics").await.contains("postern_process_hardened{postern_harden=\"Warn\"} 0"));
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut line = site.line(process.address(), &site.who.mia, true).await;
    assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200, "a process with a filter serves");

    site.write("manifests/process.yaml", &hardening("Require"));
    process.signal("HUP");
    block_in_place(|| process.until("the new policy set does not load"));
    assert!(process.all().contains("--read-only"), "{}", process.all());
    assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200, "the old set stays");
    process.signal("TERM");
    assert!(block_in_place(|| process.ended()).success());
}

/// Everything of a site is nobody's, the file system is read-only but for it, and no capability is left.
fn confined(site: &Site) -> Command {
    let script = "set -e; mount --bind \"$SITE\" \"$SITE\"; mount -o remount,ro,bind /; exec setpriv --reuid=65534 --regid=65534 \
        --clear-groups --inh-caps=-all --bounding-set=-all \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "confined"]).env("SITE", site.path(""));
    command
}

fn give_away(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_process_serves() {
    let site = Site::new().await;
    site.write("manifests/process.yaml", &hardening("Require"));
    let probe = confined(&site).arg(BINARY).arg("--version").output();
    if !is_root() || !probe.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: this machine cannot confine a process by `unshare` and `setpriv` ({probe:?})");
        return;
    }
    give_away(&site.path(""));
    let mut command = confined(&site);
    command.arg(BINARY).arg("run").arg("--config").arg(site.config());
    let mut process = Process::started_by(command);
    block_in_place(|| process.until("the process is confined"));
    block_in_place(|| process.until("serving"));
    assert!(
        health(process.health(), "/metrics").await.contains("postern_process_hardened{postern_harden=\"Require\"} 1")
    );
    let token = site.token(&site.who.mia, &site.who.mia);
    for h2 in [false, true] {
        let mut line = site.line(process.address(), &site.who.mia, h2).await;
        assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200);
    }
    process.signal("HUP");
    block_in_place(|| process.until("policy set taken over"));
    process.signal("TERM");
    assert!(block_in_place(|| process.ended()).success(), "{}", process.all());
}

/// What is below `path`, with what others than its owner may do.
fn open_to_others(path: &Path, found: &mut Vec<String>) -> usize {
    let meta = path.symlink_metadata().unwrap();
    if meta.mode() & 0o077 != 0 {
        found.push(format!("{} {:o}", path.display(), meta.mode() & 0o7777));
    }
    let mut files = usize::from(!meta.is_dir());
    if meta.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            files += open_to_others(&entry.unwrap().path(), found);
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_process_makes_is_for_its_user_alone_whatever_umask_it_was_started_with() {
    let site = Site::new().await;
    let socket = site.path("run/in.sock");
    site.change(
        "postern.yaml",
        "protocol: https}\n",
        &format!("protocol: https}}\n  - {{name: local, bind: \"unix:{}\", protocol: http}}\n", socket.display()),
    );
    let mut command = Command::new("sh");
    command.args(["-c", "umask 0; exec \"$@\"", "open", BINARY, "run", "--config"]).arg(site.config());
    let mut process = Process::started_by(command);
    block_in_place(|| process.until("serving"));
    let token = site.token(&site.who.mia, &site.who.mia);
    let mut line = site.line(process.address(), &site.who.mia, false).await;
    assert_eq!(line.get("/both/a", &token).await.unwrap().status, 200);
    assert!(socket.symlink_metadata().unwrap().file_type().is_socket());
    let mut open = Vec::new();
    open_to_others(&site.path("run"), &mut open);
    process.signal("TERM");
    assert!(block_in_place(|| process.ended()).success());
    let files = open_to_others(&site.path("state"), &mut open);
    assert!(files >= 4, "log, key and checkpoint are there: {files}");
    assert_eq!(open, Vec::<String>::new());
}
