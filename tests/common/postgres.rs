//! A server of PostgreSQL of our own, on a Unix socket in a temporary directory.

use std::os::unix::fs::{PermissionsExt, chown};
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
        Postgres::start_with("listen_addresses=", |_| ())
    }

    /// Starts a server that also listens on a port of this machine, and there to nobody without TLS if it has a certificate, which is given with its key.
    pub fn start_on_port(port: u16, certificate: Option<(&str, &str)>) -> Postgres {
        let ssl = if certificate.is_some() { "on" } else { "off" };
        let settings = format!("listen_addresses=127.0.0.1 -c port={port} -c ssl={ssl}");
        Postgres::start_with(&settings, |server| {
            let Some((certificate, key)) = certificate else { return };
            server.write("server.crt", certificate);
            server.write("server.key", key);
            server.write("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 trust\n");
        })
    }

    fn start_with(settings: &str, prepare: impl FnOnce(&Postgres)) -> Postgres {
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
        prepare(&server);
        let options = format!("-k {} -c {settings} -c timezone=UTC -c fsync=off", server.socket());
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

    /// A connection to a server that was started on a port.
    pub fn client_on_socket(&self, port: u16) -> postgres::Client {
        postgres::Client::connect(&format!("{} port={port}", self.url()), postgres::NoTls).unwrap()
    }

    fn socket(&self) -> String {
        self.dir.path().to_str().unwrap().to_owned()
    }

    fn data(&self) -> String {
        format!("{}/data", self.socket())
    }

    /// Writes a file of the server that nobody else reads.
    fn write(&self, name: &str, text: &str) {
        let path = Path::new(&self.data()).join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = self.user {
            chown(&path, Some(user), Some(group)).unwrap();
        }
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
