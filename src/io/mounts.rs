//! The table of mounts, and what it says of the file system of a directory.

use std::path::{Path, PathBuf};

/// Programs that serve object stores, as the table names them: the rename of a directory copies all that is in it, or fails.
const OBJECT_STORES: [&str; 9] = [
    "fuse.blobfuse",
    "fuse.blobfuse2",
    "fuse.gcsfuse",
    "fuse.geesefs",
    "fuse.goofys",
    "fuse.mountpoint-s3",
    "fuse.ossfs",
    "fuse.rclone",
    "fuse.s3fs",
];

/// The table of this process; empty where there is none.
pub fn table() -> String {
    std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()
}

/// Whether a directory, whose path has no symbolic links, lies in an object store that is mounted.
pub fn is_object_store(mounts: &str, dir: &Path) -> bool {
    kind_of_mount(mounts, dir).is_some_and(|kind| OBJECT_STORES.contains(&kind))
}

/// The type of the mount that a directory lies in: of those with the longest path, the last one, which hides the others.
pub fn kind_of_mount<'a>(mounts: &'a str, dir: &Path) -> Option<&'a str> {
    let mounts = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        Some((unescaped(before.split(' ').nth(4)?), after.split(' ').next()?))
    });
    let around = mounts.filter(|(at, _)| dir.starts_with(at));
    around.max_by_key(|(at, _)| at.components().count()).map(|(_, kind)| kind)
}

/// A path as the table of mounts writes it: spaces and backslashes are octal numbers.
fn unescaped(text: &str) -> PathBuf {
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(escapes.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /mnt/bucket rw,nosuid - fuse.s3fs s3fs rw
42 40 0:42 / /mnt/bucket/disk rw - ext4 /dev/sdb1 rw
43 22 0:43 / /mnt/fast rw - fuse.juicefs JuiceFS:jfs rw
";

    #[test]
    fn object_stores_are_known_by_their_mounts() {
        for dir in ["/mnt/bucket", "/mnt/bucket/deep/er"] {
            assert!(is_object_store(MOUNTS, Path::new(dir)), "{dir}");
        }
        for dir in ["/", "/mnt/bucketful", "/mnt/bucket/disk/out", "/mnt/fast"] {
            assert!(!is_object_store(MOUNTS, Path::new(dir)), "{dir}");
        }
    }
}
