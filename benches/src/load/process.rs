//! What a process has cost, as Linux tells it.

use std::{fs, time::Duration};

/// Processor time of a process, user and system, threads that have ended included; `None` if there is no such process.
pub(super) fn processor_time(process: Option<u32>) -> Option<Duration> {
    let text = fs::read_to_string(format!("/proc/{}/stat", name(process))).ok()?;
    ticks(&text).map(|ticks| Duration::from_millis(ticks.saturating_mul(MILLIS_PER_TICK)))
}

/// Resident memory of a process, in KiB.
pub(super) fn resident_kib(process: Option<u32>) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", name(process))).ok()?;
    resident(&text)
}

/// Linux counts in hundredths of a second, whatever its own clock does (`sysconf(_SC_CLK_TCK)`).
const MILLIS_PER_TICK: u64 = 10;

fn name(process: Option<u32>) -> String {
    process.map_or_else(|| "self".to_owned(), |id| id.to_string())
}

/// utime and stime: fields 14 and 15 of `stat`, whose second field is a name in parentheses that can hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    next()?.checked_add(next()?)
}

fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim_end().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_can_hold_anything() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 8 9 20 0 1 0 100 0 0";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a"), None);
        assert_eq!(ticks("7 (a) S 1"), None);
        assert_eq!(resident("VmPeak:\t 9 kB\nVmRSS:\t    1234 kB\n"), Some(1234));
        assert_eq!(resident("VmPeak:\t 9 kB\n"), None);
    }

    #[test]
    fn this_process_can_be_asked() {
        assert!(processor_time(None).is_some());
        assert!(processor_time(Some(std::process::id())).is_some());
        assert!(resident_kib(None).unwrap() > 100);
        assert_eq!(processor_time(Some(u32::MAX)), None);
    }
}
