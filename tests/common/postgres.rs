//! A server of PostgreSQL of our own, on a Unix socket in a temporary directory.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// It ends with this.
pub struct Postgres {
    dir: TempDir,
    /// The server refuses to run as root: it runs as nobody then.
    user: Option<(u32, u32)>,
}

impl Postgres {
    /// Starts a server with an empty database.
    pub fn start() -> Postgres {
        let dir = tempfile::Builder::new().prefix("postgres-").tempdir_in("/tmp").unwrap();
        let user = rustix::process::geteuid().is_root().then_some((65534, 65534));
        if let Some((user, group)) = user {
            chown(dir.path(), Some(user), Some(group)).unwrap();
        }
        let server = Postgres { dir, user };
        let data = server.data();
        server.run(
            "initdb",
            &["-D", &data, "-U", "test", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"],
        );
        let options = format!("-k {} -c listen_addresses= -c timezone=UTC -c fsync=off", server.socket());
        let log = format!("{}/log", server.socket());
        server.run("pg_ctl", &["start", "-w", "-D", &data, "-l", &log, "-o", &options]);
        server
    }

    /// How clients connect.
    pub fn url(&self) -> String {
        format!("host={} user=test dbname=postgres", self.socket())
    }

    /// A connection.
    pub fn client(&self) -> postgres::Client {
        postgres::Client::connect(&self.url(), postgres::NoTls).unwrap()
    }

    fn socket(&self) -> String {
        self.dir.path().to_str().unwrap().to_owned()
    }

    fn data(&self) -> String {
        format!("{}/data", self.socket())
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(find(program));
        command.args(arguments).current_dir("/");
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let output = command.stdout(std::process::Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["stop", "-m", "immediate", "-D", &self.data()]);
    }
}

/// Debian keeps the programs of the server out of the path.
fn find(program: &str) -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = debian.map(|version| version.path().join("bin").join(program)).collect();
    places.sort();
    places.retain(|place| place.exists());
    places.pop().unwrap_or_else(|| Path::new(program).to_owned())
}
