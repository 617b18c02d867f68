//! Holds a browser to a limit of memory where the kernel does not do it for us: under bubblewrap there is no control
//! group, and a limit on address space keeps Chromium from starting. What counts is memory that belongs to no file,
//! of the browser and all its descendants; its scratch space and shared memory are bounded where they are mounted.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::usage::family_of;

/// The most that a browser and its page may use, as much as a container has.
pub(in crate::sandbox) const MEMORY_BYTES_MAX: u64 = 1 << 30;

/// How often it is looked at, which takes a tenth of a millisecond. A page allocates up to 2 GB a second and core.
const LOOK_PERIOD: Duration = Duration::from_millis(25);

/// How many looks pass before the processes are listed anew: that takes several times as long.
const LOOKS_PER_LIST: u32 = 8;

/// Ends when the process `root` and its descendants use more than they may; gives how much that is, in bytes.
pub(in crate::sandbox) async fn outgrown(root: u32) -> u64 {
    let mut family = Vec::new();
    let mut looks = interval(LOOK_PERIOD);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look = 0_u32;
    loop {
        looks.tick().await;
        if look.is_multiple_of(LOOKS_PER_LIST) {
            family = family_of(root);
        }
        look = look.wrapping_add(1);
        let bytes = family.iter().map(|process| bytes_of(*process)).sum();
        if bytes > MEMORY_BYTES_MAX {
            return bytes;
        }
    }
}

/// The memory of a process that belongs to no file and is not shared; nothing when it has ended.
fn bytes_of(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = size.and_then(|size| size.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
