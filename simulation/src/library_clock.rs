//! What `std::time` says to libraries while the cluster takes a step: the virtual time.
//!
//! The product asks the clocks it is given, and tokio's clock stands still until it is moved. Some of what they use asks the
//! operating system: h2 forgets a stream that it has reset when a second has passed, and what comes for it afterwards is
//! answered with a frame more. Were that second a real one, a slower machine would see another run of the same seed. So this
//! program has its own `clock_gettime`, the function that `std::time` calls: inside [`standing_at`] it gives the virtual
//! time, elsewhere and on every other thread what the system says.
#![cfg_attr(all(target_os = "linux", target_pointer_width = "64"), expect(unsafe_code, reason = "a function of libc"))]

use std::cell::Cell;
use std::time::Duration;

thread_local! {
    static VIRTUAL: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// What a virtual clock shows at the beginning of a run: no time before it can be meant, nor one before the system's start.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
const BEGINNING: Duration = Duration::from_secs(1_000_000_000);

/// As long as it lives, `std::time` stands at one moment for this thread.
pub struct Standing(());

impl Drop for Standing {
    fn drop(&mut self) {
        VIRTUAL.set(None);
    }
}

/// Lets `std::time` stand at `now`, counted from the beginning of the run, for this thread.
#[must_use]
pub fn standing_at(now: Duration) -> Standing {
    VIRTUAL.set(Some(now));
    Standing(())
}

/// `struct timespec` where a `time_t` and a `long` have 64 bits.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i64,
}

/// `clock_gettime` of POSIX. The linker prefers it to that of libc. Fails with -1, which `std::time` takes for a broken system,
/// for a clock that the system does not have.
// SAFETY: The name belongs to libc; what is done under it is what POSIX says of it, so that every caller gets what it expects.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: i32, into: *mut TimeSpec) -> i32 {
    let virtually = VIRTUAL.try_with(Cell::get).ok().flatten();
    let read = match virtually {
        Some(now) => TimeSpec::of(BEGINNING + now),
        None => TimeSpec::of_system(clock),
    };
    let Some(read) = read else { return -1 };
    // SAFETY: POSIX has the caller give a place where a `struct timespec` may be written.
    unsafe { into.write(read) };
    0
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
impl TimeSpec {
    fn of(time: Duration) -> Option<TimeSpec> {
        Some(TimeSpec { seconds: i64::try_from(time.as_secs()).ok()?, nanoseconds: i64::from(time.subsec_nanos()) })
    }

    /// Asks the kernel without libc.
    fn of_system(clock: i32) -> Option<TimeSpec> {
        use rustix::time::{ClockId, clock_gettime};
        const CLOCKS: [ClockId; 8] = [
            ClockId::Realtime,
            ClockId::Monotonic,
            ClockId::ProcessCPUTime,
            ClockId::ThreadCPUTime,
            ClockId::MonotonicRaw,
            ClockId::RealtimeCoarse,
            ClockId::MonotonicCoarse,
            ClockId::Boottime,
        ];
        let known = CLOCKS.into_iter().find(|known| *known as i32 == clock)?;
        let time = clock_gettime(known);
        Some(TimeSpec { seconds: time.tv_sec, nanoseconds: time.tv_nsec })
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant, SystemTime};

    use super::standing_at;

    #[test]
    fn time_stands_for_a_step_and_goes_on_after_it() {
        let began = Instant::now();
        let (first, second, wall) = {
            let _standing = standing_at(Duration::from_millis(5));
            let first = Instant::now();
            thread::sleep(Duration::from_millis(2));
            assert_eq!(Instant::now(), first, "it stands while real time passes");
            (first, thread::spawn(Instant::now).join().unwrap(), SystemTime::now())
        };
        assert!(second > began, "another thread has the system's time");
        let later = {
            let _standing = standing_at(Duration::from_millis(7));
            assert_eq!(SystemTime::now().duration_since(wall).unwrap(), Duration::from_millis(2));
            Instant::now()
        };
        assert_eq!(later - first, Duration::from_millis(2), "it is the virtual time");
        assert!(began.elapsed() >= Duration::from_millis(2), "the system's time is back");
    }
}
