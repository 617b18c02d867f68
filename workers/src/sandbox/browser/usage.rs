//! What browsers use of this machine: a process and all its descendants, as the kernel counts them.

/// The kernel's ticks in a second, as `/proc` gives them: always 100, whatever the kernel's own rate is.
const TICKS_PER_SEC: f64 = 100.0;

/// Processor time and memory of running browsers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Processor seconds since the browsers started, ended children included.
    pub cpu_secs: f64,
    /// Memory in bytes, what is shared between processes counted once; 0 where we may not look.
    pub memory_bytes: u64,
}

impl std::ops::Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_secs: self.cpu_secs + other.cpu_secs,
            memory_bytes: self.memory_bytes + other.memory_bytes,
        }
    }
}

/// The usage of a process and its descendants. Reads several files for each: for measurements only.
pub(in crate::sandbox) fn of_tree(root: u32) -> Usage {
    family_of(root).into_iter().fold(Usage::default(), |usage, id| {
        #[expect(clippy::cast_precision_loss, reason = "ticks are far below 2^52")]
        let cpu_secs = ticks_of(id).unwrap_or_default() as f64 / TICKS_PER_SEC;
        usage + Usage { cpu_secs, memory_bytes: memory_of(id) }
    })
}

/// A process and its descendants.
pub(in crate::sandbox) fn family_of(root: u32) -> Vec<u32> {
    let mut family = vec![root];
    let mut index = 0;
    while let Some(parent) = family.get(index).copied() {
        family.extend(children_of(parent));
        index += 1;
    }
    family
}

/// The children of a process, none when it has ended. Each of its threads has a list of those that it started.
fn children_of(id: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{id}/task")) else { return Vec::new() };
    let lists = threads.flatten().flat_map(|thread| std::fs::read_to_string(thread.path().join("children")));
    lists.flat_map(|list| list.split_whitespace().flat_map(str::parse).collect::<Vec<_>>()).collect()
}

/// Processor seconds of this process alone.
pub fn own_cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace());
    let own = fields.into_iter().flatten().skip(11).take(2);
    own.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SEC
}

fn ticks_of(id: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name of the program, in parentheses, may hold spaces. Fields 14 to 17 are the ticks of the process and of
    // its ended children.
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some(fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

fn memory_of(id: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{id}/smaps_rollup")).unwrap_or_default();
    let share = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = share.and_then(|share| share.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_counts_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let (alone, with_us) = (of_tree(child.id()), of_tree(std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(alone.memory_bytes > 0);
        assert!(with_us.memory_bytes > alone.memory_bytes);
    }
}
