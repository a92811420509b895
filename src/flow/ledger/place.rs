//! Where a ledger can lie: `SQLite` needs locks and shared memory that hold for all who use it, and on network file systems they do not.

use std::path::Path;

use rustix::fs::Access;
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, Result, printable};
use crate::io::mounts::{self, kind_of_mount};

/// What `statfs` calls file systems that are reached by a network.
const NETWORKS: [(i64, &str); 9] = [
    (0x6969, "NFS"),
    (0x517B, "SMB"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB2"),
    (0x0102_1997, "9p"),
    (0x0BD0_0BD0, "Lustre"),
    (0x00C3_6400, "Ceph"),
    (0x5346_414F, "AFS"),
    (0x1980_0202, "GPFS"),
];

/// What it calls all that programs serve: only the table of mounts tells a disk from a network.
const FUSE: i64 = 0x6573_5546;

/// Programs that serve what lies elsewhere, as the table of mounts names them.
const SERVED: [&str; 9] =
    ["sshfs", "glusterfs", "ceph", "rclone", "s3fs", "davfs", "curlftpfs", "smbnetfs", "gcsfuse"];

/// Fails for a directory on a network file system.
///
/// # Errors
///
/// [`ErrorKind::Config`], with its name.
pub(super) fn refuse_networks(ledger: &Path, dir: &Path) -> Result<()> {
    let Ok(found) = rustix::fs::statfs(dir) else { return Ok(()) };
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // its width differs between platforms
    let kind = found.f_type as i64;
    let mounts = mounts::table();
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let Some(name) = network(kind, &mounts, &dir) else { return Ok(()) };
    let message = format!("the ledger {} lies on {name}", printable(ledger));
    Err(Error::new(ErrorKind::Config, message).hint(
        "its locks hold on local file systems only: name another place by --ledger or GRISTMILL_LEDGER",
    ))
}

/// What to do with a ledger that cannot be written.
pub(super) const WRITABLE: &str =
    "make it and its directory writable, or name another one by --ledger or GRISTMILL_LEDGER";

/// Fails for a ledger that cannot be written, before `SQLite` makes files beside it that cannot be written either, and that stay so.
///
/// # Errors
///
/// [`ErrorKind::Config`].
pub(super) fn refuse_read_only(ledger: &Path) -> Result<()> {
    match rustix::fs::access(ledger, Access::WRITE_OK) {
        Err(error @ (Errno::ACCESS | Errno::ROFS | Errno::PERM)) => {
            let message = format!("the ledger {} cannot be used: {error}", printable(ledger));
            Err(Error::new(ErrorKind::Config, message).hint(WRITABLE).because(error))
        }
        _ => Ok(()), // or it is not there yet
    }
}

/// The name of the network file system that `statfs` or the mounts say a directory lies on.
fn network<'a>(kind: i64, mounts: &'a str, dir: &Path) -> Option<&'a str> {
    let known = NETWORKS.iter().find(|(network, _)| *network == kind & 0xFFFF_FFFF);
    if let Some((_, name)) = known {
        return Some(name);
    }
    let served = (kind == FUSE).then(|| kind_of_mount(mounts, dir)).flatten()?;
    let program = served.strip_prefix("fuse.")?;
    SERVED.contains(&program).then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /mnt/far rw,nosuid - fuse.sshfs host:/srv rw
41 22 0:41 / /mnt/near\\040by rw - fuse.mergerfs a:b rw
42 40 0:42 / /mnt/far/disk rw - ext4 /dev/sdb1 rw
43 22 0:43 / /mnt/twice rw - fuse.mergerfs a:b rw
44 22 0:44 / /mnt/twice rw shared:7 master:2 - fuse.rclone remote: rw
";

    fn of(kind: i64, dir: &str) -> Option<&'static str> {
        network(kind, MOUNTS, Path::new(dir))
    }

    #[test]
    fn file_systems_of_networks_are_known() {
        for (kind, name) in [(0x6969, "NFS"), (0xFE53_4D42, "SMB2"), (0x0102_1997, "9p")] {
            assert_eq!(of(kind, "/"), Some(name));
        }
        let sign_extended = i64::from(0xFF53_4D42_u32.cast_signed());
        assert_eq!(of(sign_extended, "/"), Some("CIFS"));
        let (ext4, tmpfs, overlay) = (0xEF53, 0x0102_1994, 0x794C_7630);
        assert_eq!([ext4, tmpfs, overlay].map(|kind| of(kind, "/mnt/far")), [None; 3]);
    }

    #[test]
    fn what_programs_serve_is_told_by_the_table_of_mounts() {
        assert_eq!(of(FUSE, "/mnt/far/flows"), Some("sshfs"));
        assert_eq!(of(FUSE, "/mnt/farther"), None);
        assert_eq!(of(FUSE, "/mnt/near by/flows"), None);
        assert_eq!(of(FUSE, "/mnt/far/disk/flows"), None);
        assert_eq!(of(FUSE, "/mnt/twice"), Some("rclone"));
        assert_eq!(network(FUSE, "", Path::new("/")), None);
        assert_eq!(network(FUSE, "no table", Path::new("/")), None);
    }

    #[test]
    fn a_directory_of_this_machine_is_none() {
        let dir = tempfile::tempdir().unwrap();
        refuse_networks(&dir.path().join("ledger"), dir.path()).unwrap();
    }
}
