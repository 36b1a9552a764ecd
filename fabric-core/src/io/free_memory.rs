//! The memory that holds nothing: the system can give it away without taking pages of any file out of its cache.

use std::fs;
use std::path::Path;

/// A version of control groups: where the groups are, and the files of a group with its limits and its use in bytes.
struct Version {
    groups: &'static str,
    limits: &'static [&'static str],
    used: &'static str,
}

const ONE: Version = Version {
    groups: "/sys/fs/cgroup/memory",
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
};

const TWO: Version = Version {
    groups: "/sys/fs/cgroup",
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
};

/// The free memory in bytes, within the limits of the control groups of this process. 0 if the system does not tell.
pub(crate) fn free_memory() -> u64 {
    let Some(free) = fs::read_to_string("/proc/meminfo").ok().as_deref().and_then(free_of) else {
        return 0;
    };
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let lines = own.lines().filter_map(group_of);
    let left = lines.map(|(version, group)| version.left_in(Path::new(version.groups), group));
    left.fold(free, u64::min)
}

/// The free bytes in the text of `/proc/meminfo`.
fn free_of(text: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix("MemFree:"))?;
    Some(kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The control group for memory in a line of `/proc/self/cgroup`, relative to the directory of all groups.
fn group_of(line: &str) -> Option<(Version, &Path)> {
    let (controllers, path) = line.split_once(':')?.1.split_once(":/")?;
    let version = match controllers {
        "" => TWO,
        _ if controllers.split(',').any(|name| name == "memory") => ONE,
        _ => return None,
    };
    Some((version, Path::new(path)))
}

impl Version {
    /// The bytes that a group and the groups above it may still use. Bytes in the cache count as used.
    fn left_in(&self, groups: &Path, group: &Path) -> u64 {
        let above = group.ancestors().map(|group| groups.join(group));
        above.map(|group| self.left_in_one(&group)).min().unwrap_or(u64::MAX)
    }

    fn left_in_one(&self, group: &Path) -> u64 {
        let number = |name: &str| -> Option<u64> {
            let text = fs::read_to_string(group.join(name)).ok()?;
            text.trim().parse().ok()
        };
        // A group without a limit has the word `max` there, or no such file.
        let limit = self.limits.iter().filter_map(|name| number(name)).min();
        limit.map_or(u64::MAX, |limit| {
            limit.saturating_sub(number(self.used).unwrap_or(limit))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_memory_is_a_line_of_the_systems_report() {
        let report = fs::read_to_string("/proc/meminfo").expect("the system's report");
        let total = report.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let total = total.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        assert!(free_memory() >> 10 < total.expect("a number"));
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
        let left = |group: &str| TWO.left_in(directory.path(), Path::new(group));
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
        fs::write(at("a/b/memory.high"), "500\n").unwrap();
        assert_eq!(left("a/b"), 200, "a group is throttled above its high mark");
        fs::write(at("a/b/memory.current"), "3000\n").unwrap();
        assert_eq!(left("a/b"), 0);
        fs::write(at("memory.limit_in_bytes"), "700\n").unwrap();
        fs::write(at("memory.usage_in_bytes"), "600\n").unwrap();
        assert_eq!(ONE.left_in(directory.path(), Path::new("a")), 100);
    }

    #[test]
    fn a_group_is_found_by_its_controllers() {
        let found = |line: &'static str| group_of(line).map(|(version, path)| (version.used, path));
        assert_eq!(
            found("0::/user.slice/a b"),
            Some((TWO.used, Path::new("user.slice/a b")))
        );
        assert_eq!(found("0::/"), Some((TWO.used, Path::new(""))));
        assert_eq!(found("4:cpu,memory:/x/y"), Some((ONE.used, Path::new("x/y"))));
        assert_eq!(found("1:name=systemd:/x"), None);
        assert_eq!(found(""), None);
    }
}
