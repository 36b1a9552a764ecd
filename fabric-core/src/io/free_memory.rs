//! The memory that holds nothing: the system can give it away without taking pages of any file out of its cache.

use std::fs;
use std::path::Path;

/// The directory of the control groups (version 2).
const GROUPS: &str = "/sys/fs/cgroup";

/// The free memory in bytes, within the limits of the control groups of this process. 0 if the system does not tell.
pub(crate) fn free_memory() -> u64 {
    let Some(free) = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(free_of) else {
        return 0;
    };
    let own = fs::read_to_string("/proc/self/cgroup").ok();
    let group = own.as_deref().and_then(group_of).unwrap_or(Path::new(""));
    free.min(left_in(Path::new(GROUPS), group))
}

/// The free bytes in the text of `/proc/meminfo`.
fn free_of(text: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    Some(kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The path of the control group in the text of `/proc/self/cgroup`, relative to the directory of all groups.
fn group_of(text: &str) -> Option<&Path> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    Some(Path::new(path))
}

/// The bytes that a group and the groups above it may still use. Bytes in the cache count as used.
fn left_in(groups: &Path, group: &Path) -> u64 {
    let above = group.ancestors().map(|group| groups.join(group));
    above.filter_map(|group| left_in_one(&group)).min().unwrap_or(u64::MAX)
}

/// `None` for a group without a limit.
fn left_in_one(group: &Path) -> Option<u64> {
    let number = |name| -> Option<u64> {
        let text = fs::read_to_string(group.join(name)).ok()?;
        text.trim().parse().ok()
    };
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_memory_is_free() {
        assert!(free_memory() > 0);
        assert_eq!(
            free_of("MemTotal:       24 kB\nMemFree:        23 kB\n"),
            Some(23 << 10)
        );
        assert_eq!(free_of("MemTotal:       24 kB\n"), None);
    }

    #[test]
    fn the_lowest_limit_of_a_group_and_those_above_it_counts() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        let left = |group: &str| left_in(directory.path(), Path::new(group));
        assert_eq!(left("a/b"), u64::MAX, "no limit");
        for (file, text) in [
            ("memory.max", "max\n"),
            ("memory.current", "7\n"),
            ("a/memory.max", "1000\n"),
            ("a/memory.current", "400\n"),
            ("a/b/memory.max", "2000\n"),
            ("a/b/memory.current", "300\n"),
        ] {
            fs::write(at(file), text).unwrap();
        }
        assert_eq!(left("a/b"), 600);
        assert_eq!(left("a"), 600);
        assert_eq!(left(""), u64::MAX);
        fs::write(at("a/b/memory.current"), "3000\n").unwrap();
        assert_eq!(left("a/b"), 0);
    }

    #[test]
    fn a_group_of_version_two_is_found_by_its_path() {
        assert_eq!(
            group_of("1:name=systemd:/x\n0::/user.slice/a b\n"),
            Some(Path::new("user.slice/a b"))
        );
        assert_eq!(group_of("0::/\n"), Some(Path::new("")));
        assert_eq!(group_of("1:memory:/x\n"), None);
    }
}
