//! Our own seccomp filter: what a proxy never asks the kernel for is refused. It is a list of what is denied, not of what is
//! allowed: which harmless calls the C library and the runtime make changes with every release, and a proxy that dies of an
//! update is switched off. A call that is denied fails (EPERM); nothing is killed.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Denied whatever the arguments.
const DENIED: &[i64] = &[
    // Other programs, and other processes' memory and descriptors.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_userfaultfd,
    // The tree of files, namespaces.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    // The kernel itself: modules, programs inside it, its keys, its rings, which pass filters like this one by.
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_syslog,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_personality,
];

#[cfg(target_arch = "x86_64")]
const DENIED_HERE: &[i64] = &[
    libc::SYS_fork,
    libc::SYS_vfork,
    libc::SYS_kexec_file_load,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    // The same under the numbers that the x32 ABI has for them: execve, ptrace, kexec_load, process_vm_readv, process_vm_writev
    // and execveat.
    X32 | 520,
    X32 | 521,
    X32 | 528,
    X32 | 539,
    X32 | 540,
    X32 | 545,
];

#[cfg(not(target_arch = "x86_64"))]
const DENIED_HERE: &[i64] = &[];

/// Calls of the x32 ABI carry this bit, and the architecture of the others.
#[cfg(target_arch = "x86_64")]
const X32: i64 = 0x4000_0000;

/// Families of sockets that we have use for: Unix, IPv4, IPv6, and netlink, by which the C library learns of addresses.
const FAMILIES: [libc::c_int; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// Puts the filters on every thread of the process, for good; none of them gains privileges from then on.
///
/// # Errors
/// Why the kernel or the architecture does not take them.
pub(super) fn install() -> Result<(), String> {
    for program in programs().map_err(|error| error.to_string())? {
        seccompiler::apply_filter_all_threads(&program).map_err(|error| said(&error))?;
    }
    Ok(())
}

/// The causes as well, which the library's own text may leave out.
fn said(error: &Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

fn programs() -> Result<[BpfProgram; 2], Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let compiled = |rules: BTreeMap<i64, Vec<SeccompRule>>, errno: libc::c_int| -> Result<BpfProgram, Error> {
        let errno = SeccompAction::Errno(errno.unsigned_abs());
        Ok(SeccompFilter::new(rules, SeccompAction::Allow, errno, arch)?.try_into()?)
    };
    // What `clone3` would do stands in memory, which a filter cannot read. The C library takes `clone` where it is not there.
    let clone3 = every_abi([(libc::SYS_clone3, Vec::new())]);
    Ok([compiled(denied()?, libc::EPERM)?, compiled(clone3, libc::ENOSYS)?])
}

fn denied() -> Result<BTreeMap<i64, Vec<SeccompRule>>, Error> {
    let always = DENIED.iter().chain(DENIED_HERE).map(|call| (*call, Vec::new()));
    // A thread, yes; a process, no.
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    let process =
        SeccompRule::new(vec![SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(thread), 0)?])?;
    let other = |family: libc::c_int| {
        SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, u64::from(family.unsigned_abs()))
    };
    let families = SeccompRule::new(FAMILIES.into_iter().map(other).collect::<Result<_, _>>()?)?;
    let some = [(libc::SYS_clone, vec![process]), (libc::SYS_socket, vec![families])];
    Ok(every_abi(always.chain(some)))
}

#[cfg(target_arch = "x86_64")]
fn every_abi(rules: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>) -> BTreeMap<i64, Vec<SeccompRule>> {
    rules.into_iter().flat_map(|(call, rules)| [(call, rules.clone()), (call | X32, rules)]).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn every_abi(rules: impl IntoIterator<Item = (i64, Vec<SeccompRule>)>) -> BTreeMap<i64, Vec<SeccompRule>> {
    rules.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketType, socket};

    use super::*;

    #[test]
    fn what_a_proxy_does_goes_on_and_what_it_never_does_is_refused() {
        // On one thread of this test's own; those it starts have it too.
        std::thread::spawn(|| {
            for program in programs().unwrap() {
                seccompiler::apply_filter(&program).unwrap();
            }
            let started = Command::new("/bin/true").spawn();
            assert_eq!(started.unwrap_err().kind(), ErrorKind::PermissionDenied, "no other program");
            assert_eq!(rustix::process::chroot("/").unwrap_err(), Errno::PERM);
            // The kernel's own ciphers, raw frames, the host of a virtual machine.
            for family in [libc::AF_ALG, libc::AF_PACKET, libc::AF_VSOCK] {
                let family = AddressFamily::from_raw(u16::try_from(family).unwrap());
                assert_eq!(socket(family, SocketType::STREAM, None).unwrap_err(), Errno::PERM, "{family:?}");
            }

            assert_eq!(std::thread::spawn(|| 7).join().unwrap(), 7, "threads");
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            assert!(std::net::ToSocketAddrs::to_socket_addrs(&("localhost", 1)).is_ok());
            let dir = tempfile::tempdir().unwrap();
            std::os::unix::net::UnixListener::bind(dir.path().join("a")).unwrap();
            std::fs::write(dir.path().join("b"), "b").unwrap();
        })
        .join()
        .unwrap();
    }
}
