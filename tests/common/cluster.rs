//! A cluster without Spark: it speaks what `spark/src` speaks, and runs each task as a process, one after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufReader, BufWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The variable that says which job a test program, started as [`this_program`], is to do.
pub const JOB: &str = "GRISTMILL_TEST_JOB";

/// The test program as one that does a job: its test `job` alone.
pub fn this_program(name: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "job", "--nocapture"]).env(JOB, name);
    command
}

/// What a job has printed behind `result: `.
pub fn result(output: Output) -> String {
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    let result = stdout.lines().find_map(|line| line.strip_prefix("result: ").map(str::to_owned));
    result.unwrap_or_else(|| panic!("{stdout}\n{stderr}"))
}

/// A cluster of so many cores.
pub struct Cluster {
    pub cores: usize,
    /// The stages and tasks that it has run.
    pub tasks: Vec<usize>,
    /// Of each stage, the partitions for later ones, and the frames that it had for the driver.
    pub heard: Vec<(u64, usize)>,
    /// What happens before each stage.
    pub before_stage: Box<dyn Fn()>,
    /// How often each task is done; only what the last try sends counts.
    pub tries: usize,
    /// Whether what a stage reads is lost before it, so that its tasks are done again.
    pub loses: bool,
    /// The stages by their number.
    stages: HashMap<u64, Stage>,
    broadcasts: HashMap<u64, Vec<Vec<u8>>>,
}

/// A stage that has run.
struct Stage {
    request: Value,
    /// The frames of each partition.
    output: BTreeMap<u32, Vec<Vec<u8>>>,
    /// Whether only tasks that are done again may read it.
    is_dropped: bool,
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
            heard: Vec::new(),
            tries: 1,
            loses: false,
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
        wire.json(&json!({"version": 2, "spark": "none", "parallelism": self.cores}));
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
                    (Some(stage), _) => self.stages.get_mut(&stage).unwrap().is_dropped = true,
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
                Err(error) => wire.json(&json!({"error": error})),
            },
            other => panic!("there is no request {other}"),
        }
    }

    /// Runs a stage, and gives what it has for the driver.
    fn stage(&mut self, request: &Value, program: &Path) -> Result<Vec<Vec<u8>>, String> {
        (self.before_stage)();
        let tasks = request["tasks"].as_array().unwrap();
        self.tasks.push(tasks.len());
        if self.loses {
            self.do_again(request, program)?;
        }
        for _ in 1..self.tries {
            self.run(request, program, false)?;
        }
        let mut output = self.run(request, program, false)?;
        let for_driver = request["for_driver"].as_u64().unwrap() as u32;
        let of_driver = (0..for_driver).filter_map(|partition| output.remove(&partition));
        let of_driver: Vec<_> = of_driver.flatten().collect();
        self.heard.push((request["partitions"].as_u64().unwrap(), of_driver.len()));
        let stage = Stage { request: request.clone(), output, is_dropped: false };
        self.stages.insert(request["id"].as_u64().unwrap(), stage);
        Ok(of_driver)
    }

    /// Does again, for the stages after them, the tasks of all stages that one reads.
    fn do_again(&mut self, request: &Value, program: &Path) -> Result<(), String> {
        let reads =
            request["tasks"].as_array().unwrap().iter().flat_map(|task| task["reads"].as_array().unwrap());
        let read: BTreeSet<u64> = reads.map(|read| read[0].as_u64().unwrap()).collect();
        for id in read {
            let again = self.stages[&id].request.clone();
            let output = self.run(&again, program, true)?;
            self.stages.get_mut(&id).unwrap().output = output;
        }
        Ok(())
    }

    /// Runs all tasks of a stage.
    fn run(
        &self,
        request: &Value,
        program: &Path,
        is_again: bool,
    ) -> Result<BTreeMap<u32, Vec<Vec<u8>>>, String> {
        let mut output: BTreeMap<u32, Vec<Vec<u8>>> = BTreeMap::new();
        let end = request["for_driver"].as_u64().unwrap() + request["partitions"].as_u64().unwrap();
        for task in request["tasks"].as_array().unwrap() {
            for (partition, frame) in self.task(request, task, program, is_again)? {
                assert!(u64::from(partition) < end);
                output.entry(partition).or_default().push(frame);
            }
        }
        Ok(output)
    }

    fn task(
        &self,
        request: &Value,
        task: &Value,
        program: &Path,
        is_again: bool,
    ) -> Result<Vec<(u32, Vec<u8>)>, String> {
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
        wire.send(b'S', request["stage"].as_str().unwrap().as_bytes());
        wire.send(b'T', &[&[u8::from(is_again)], task["task"].as_str().unwrap().as_bytes()].concat());
        for id in request["broadcasts"].as_array().unwrap() {
            let id = id.as_u64().unwrap();
            for frame in &self.broadcasts[&id] {
                wire.send(b'B', &[&(id as u32).to_be_bytes(), frame.as_slice()].concat());
            }
        }
        // Frames may come in any order.
        for frame in self.input(task, is_again).into_iter().rev() {
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

    fn input(&self, task: &Value, is_again: bool) -> Vec<&Vec<u8>> {
        let mut frames = Vec::new();
        for read in task["reads"].as_array().unwrap() {
            let [stage, first, end] = [0, 1, 2].map(|place| read[place].as_u64().unwrap());
            let stage = &self.stages[&stage];
            assert!(is_again || !stage.is_dropped);
            for partition in first..end {
                frames.extend(stage.output.get(&(partition as u32)).into_iter().flatten());
            }
        }
        frames
    }
}
