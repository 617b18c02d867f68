//! Whose something is that outlives a process which is killed: a container, a directory.

/// `<boot>/<process>/<start>`: no two processes of a machine have the same, not even after a restart.
pub(super) fn owner_of(process: u32) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in parentheses, may hold spaces. The start is field 22, 20 after it.
    let since = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{}/{process}/{since}", boot.trim()))
}

/// Whether the owner lived since this machine's last boot and does no longer.
pub(super) fn is_dead(owner: &str) -> bool {
    let Some(process) = owner.split('/').nth(1).and_then(|process| process.parse().ok()) else {
        return false;
    };
    let Some(ours) = owner_of(std::process::id()) else { return false };
    let same_boot = ours.split('/').next() == owner.split('/').next();
    same_boot && owner_of(process).as_deref() != Some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_dead_when_its_process_is_gone_or_another_has_its_number() {
        let ours = owner_of(std::process::id()).unwrap();
        assert!(!is_dead(&ours));
        assert!(is_dead(&format!("{ours}0")));
        let elsewhere = ours.replacen(|symbol: char| symbol.is_ascii_hexdigit(), "x", 1);
        assert!(!is_dead(&elsewhere), "another machine's process cannot be judged from here");
    }
}
