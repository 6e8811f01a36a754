//! The calls to the system that a process for scripts may make once it serves: it reads and writes what is open, asks for
//! memory and the time, and ends. Everything else is answered by `EPERM`.
//!
//! The answer is an error and not the end of the process, because libraries ask for what they can do without: the names of
//! mappings, the number of memory nodes, files about time zones.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Without a look at their arguments.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_recvfrom,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_sendto,
    libc::SYS_close,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Unless the memory shall hold code. Both take what the memory shall be good for as their third argument.
const ALLOWED_WITHOUT_CODE: [i64; 2] = [libc::SYS_mmap, libc::SYS_mprotect];

const PROTECTION: u8 = 2;

/// Gives up every other call, for this thread and for good. Errors: the system or the machine knows no filters.
pub(super) fn allow_only_what_is_needed() -> Result<(), seccompiler::Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let code = u64::from(libc::PROT_EXEC.unsigned_abs());
    for call in ALLOWED_WITHOUT_CODE {
        let no_code = SeccompCondition::new(PROTECTION, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(code), 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![no_code])?]);
    }
    let refused = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, refused, SeccompAction::Allow, std::env::consts::ARCH.try_into()?)?;
    let program: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&program)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpStream, UdpSocket};
    use std::process::Command;

    /// What a test says to itself when it starts itself as another process.
    const CHILD: &str = "PHOTONDB_TEST_CONFINED";

    /// Runs in a process of its own, because what is given up does not come back.
    #[test]
    fn confined() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        let mut out = std::io::stdout();
        super::allow_only_what_is_needed().unwrap();
        let refused = |error: std::io::Error| error.raw_os_error() == Some(libc::EPERM);
        let held = [
            std::fs::File::open("/proc/self/status").is_err_and(refused),
            std::fs::write("/tmp/photondb-test-confined", "x").is_err_and(refused),
            std::fs::read_dir("/").is_err_and(refused),
            TcpStream::connect("127.0.0.1:1").is_err_and(refused),
            UdpSocket::bind("127.0.0.1:0").is_err_and(refused),
            Command::new("true").spawn().is_err_and(refused),
            std::thread::Builder::new().spawn(|| ()).is_err_and(refused),
        ];
        // Memory there is, and it comes and goes.
        let sum: usize = (0..50).map(|round| vec![1u8; (round + 1) << 18].len()).sum();
        let _ = writeln!(out, "confined: {held:?} {}", sum > 0);
    }

    #[test]
    fn no_file_no_socket_and_no_process_can_be_had() {
        let name = concat!(module_path!(), "::confined");
        let name = name.split_once("::").expect("the crate comes first").1;
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        let wanted = format!("confined: {:?} true", [true; 7]);
        assert!(said.contains(&wanted), "{said}{}", String::from_utf8_lossy(&child.stderr));
    }
}
