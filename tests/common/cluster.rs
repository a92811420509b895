//! A cluster without Spark: it speaks what `spark/src` speaks, and runs each task as a process, one after the other.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A cluster of so many cores.
pub struct Cluster {
    pub cores: usize,
    /// The stages and tasks that it has run.
    pub tasks: Vec<usize>,
    /// What happens before each stage.
    pub before_stage: Box<dyn Fn()>,
    /// How often each task is done; only what the last try sends counts.
    pub tries: usize,
    /// The frames of each partition of each stage.
    stages: HashMap<u64, BTreeMap<u32, Vec<Vec<u8>>>>,
    broadcasts: HashMap<u64, Vec<Vec<u8>>>,
}

struct Wire {
    input: BufReader<TcpStream>,
    output: BufWriter<TcpStream>,
}

impl Wire {
    fn accept(listener: &TcpListener) -> Wire {
        let (stream, _) = listener.accept().unwrap();
        let mut wire =
            Wire { input: BufReader::new(stream.try_clone().unwrap()), output: BufWriter::new(stream) };
        let mut token = [0; 32];
        wire.input.read_exact(&mut token).unwrap();
        assert_eq!(token, TOKEN.as_bytes());
        wire
    }

    fn send(&mut self, kind: u8, bytes: &[u8]) {
        self.output.write_all(&[kind]).unwrap();
        self.output.write_all(&(bytes.len() as u32).to_be_bytes()).unwrap();
        self.output.write_all(bytes).unwrap();
    }

    fn json(&mut self, value: &Value) {
        self.send(b'J', value.to_string().as_bytes());
        self.output.flush().unwrap();
    }

    fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.input.read_exact(&mut head).ok()?;
        let mut bytes = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize];
        self.input.read_exact(&mut bytes).ok()?;
        Some((head[0], bytes))
    }
}

impl Cluster {
    pub fn new(cores: usize) -> Cluster {
        Cluster {
            cores,
            tasks: Vec::new(),
            tries: 1,
            before_stage: Box::new(|| {}),
            stages: HashMap::new(),
            broadcasts: HashMap::new(),
        }
    }

    /// Runs a command as the driver of a job, and gives what it said.
    pub fn command(&mut self, mut command: Command) -> Output {
        let program = PathBuf::from(command.get_program());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = format!("{}:{TOKEN}", listener.local_addr().unwrap().port());
        command.env("GRISTMILL_DRIVER", address);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        // It may fail before it connects.
        listener.set_nonblocking(true).unwrap();
        let child = std::thread::spawn(move || child.wait_with_output().unwrap());
        let stream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(_) if child.is_finished() => return child.join().unwrap(),
                Err(_) => std::thread::yield_now(),
            }
        };
        stream.set_nonblocking(false).unwrap();
        let mut wire =
            Wire { input: BufReader::new(stream.try_clone().unwrap()), output: BufWriter::new(stream) };
        let mut token = [0; 32];
        wire.input.read_exact(&mut token).unwrap();
        wire.json(&json!({"version": 1, "spark": "none", "parallelism": self.cores}));
        while let Some((kind, bytes)) = wire.receive() {
            assert_eq!(kind, b'J');
            let request: Value = serde_json::from_slice(&bytes).unwrap();
            self.answer(&mut wire, &request, &program);
        }
        child.join().unwrap()
    }

    fn answer(&mut self, wire: &mut Wire, request: &Value, program: &Path) {
        match request["request"].as_str().unwrap() {
            "broadcast" => {
                let frames =
                    (0..request["frames"].as_u64().unwrap()).map(|_| wire.receive().unwrap().1).collect();
                self.broadcasts.insert(request["id"].as_u64().unwrap(), frames);
                wire.json(&json!({"ok": true}));
            }
            "drop" => {
                match (request["stage"].as_u64(), request["broadcast"].as_u64()) {
                    (Some(stage), _) => drop(self.stages.remove(&stage).unwrap()),
                    (None, Some(broadcast)) => drop(self.broadcasts.remove(&broadcast).unwrap()),
                    (None, None) => panic!("{request}"),
                }
                wire.json(&json!({"ok": true}));
            }
            "stage" => match self.stage(request, program) {
                Ok(frames) => {
                    wire.json(&json!({"frames": frames.len()}));
                    for frame in &frames {
                        wire.send(b'F', frame);
                    }
                    wire.output.flush().unwrap();
                }
                Err(error) => wire.json(&json!({"error": error, "detail": ""})),
            },
            other => panic!("there is no request {other}"),
        }
    }

    /// Runs a stage, and gives what it has for the driver.
    fn stage(&mut self, request: &Value, program: &Path) -> Result<Vec<Vec<u8>>, String> {
        (self.before_stage)();
        let mut output: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
        let tasks = request["tasks"].as_array().unwrap();
        self.tasks.push(tasks.len());
        for task in tasks {
            for _ in 1..self.tries {
                self.task(request, task, program)?;
            }
            for (partition, frame) in self.task(request, task, program)? {
                assert!(u64::from(partition) <= request["partitions"].as_u64().unwrap());
                output.entry(partition).or_default().push(frame);
            }
        }
        let frames = output.remove(&0).unwrap_or_default();
        self.stages.insert(request["id"].as_u64().unwrap(), output);
        Ok(frames)
    }

    fn task(&self, request: &Value, task: &Value, program: &Path) -> Result<Vec<(u32, Vec<u8>)>, String> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut command = Command::new(program);
        let arguments = request["args"].as_array().unwrap();
        command.args(arguments.iter().map(|argument| argument.as_str().unwrap()));
        command.current_dir(PathBuf::from(request["directory"].as_str().unwrap()));
        for (name, value) in request["env"].as_object().unwrap() {
            command.env(name, value.as_str().unwrap());
        }
        command.env_remove("GRISTMILL_DRIVER");
        command.env("GRISTMILL_STAGE", format!("{}:{TOKEN}", listener.local_addr().unwrap().port()));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut wire = Wire::accept(&listener);
        wire.send(b'S', task["spec"].as_str().unwrap().as_bytes());
        for id in request["broadcasts"].as_array().unwrap() {
            let id = id.as_u64().unwrap();
            for frame in &self.broadcasts[&id] {
                wire.send(b'B', &[&(id as u32).to_be_bytes(), frame.as_slice()].concat());
            }
        }
        // Frames may come in any order.
        for frame in self.input(task).into_iter().rev() {
            wire.send(b'F', frame);
        }
        wire.send(b'E', b"");
        wire.output.flush().unwrap();
        let mut frames = Vec::new();
        let result = loop {
            match wire.receive() {
                Some((b'F', bytes)) => {
                    let (partition, frame) = bytes.split_first_chunk().unwrap();
                    frames.push((u32::from_be_bytes(*partition), frame.to_vec()));
                }
                Some((b'X', bytes)) => break Err(String::from_utf8(bytes).unwrap()),
                Some((b'E', bytes)) => {
                    assert_eq!(u64::from_be_bytes(bytes.try_into().unwrap()), frames.len() as u64);
                    break Ok(frames);
                }
                other => break Err(format!("the job ended without an end frame: {other:?}")),
            }
        };
        wire.output.get_ref().shutdown(std::net::Shutdown::Both).unwrap(); // it may end now
        let status = child.wait().unwrap();
        assert_eq!(status.success(), result.is_ok(), "{status}: {result:?}");
        result
    }

    fn input(&self, task: &Value) -> Vec<&Vec<u8>> {
        let mut frames = Vec::new();
        for read in task["reads"].as_array().unwrap() {
            let [stage, first, end] = [0, 1, 2].map(|place| read[place].as_u64().unwrap());
            for partition in first..end {
                frames.extend(self.stages[&stage].get(&(partition as u32)).into_iter().flatten());
            }
        }
        frames
    }
}
