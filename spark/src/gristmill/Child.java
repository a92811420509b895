package gristmill;

import java.io.File;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ProtocolException;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkFiles;
import org.apache.spark.TaskContext;
import org.apache.spark.TaskContext$;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.util.TaskCompletionListener;
import org.apache.spark.util.TaskFailureListener;
import scala.Tuple2;

/**
 * The program of the job at work for one task. A thread feeds it with the task's input; its output is this iterator, which holds one frame
 * at a time. However the task ends, the program does not outlive it; and if this executor dies, the program sees the end of its connection.
 */
final class Child implements Iterator<Tuple2<Integer, byte[]>> {
    private static final int CONNECT_MILLIS = 60_000;
    private static final int EXIT_MILLIS = 60_000;
    /** For what has to follow at once: the rest of what a dead program printed, the end of a thread that was told to end. */
    private static final int SOON_MILLIS = 2_000;

    /** The programs that have done a task on this executor, which compared themselves with the driver's. */
    private static final Set<String> KNOWN = ConcurrentHashMap.newKeySet();

    private final Work work;
    private final TaskContext context;
    private final String program;
    private final Process process;
    private final Programs.Drain errors;
    private final List<Thread> drains = new ArrayList<>();
    private Socket socket;
    private Wire wire;
    private Thread feeder;
    /** What kept the feeder from going on, unless it was the program. */
    private volatile Throwable obstacle;
    private Tuple2<Integer, byte[]> next;
    private long received;
    private boolean ended;
    private boolean closed;

    Child(Work work, String task, Iterator<byte[]> input, TaskContext context) throws IOException {
        this.work = work;
        this.context = context;
        Door door = new Door();
        File file = new File(SparkFiles.get(work.file)).getAbsoluteFile();
        program = file + " " + file.length() + " " + file.lastModified();
        process = start(file, door.address());
        // The feeder must have ended before Spark frees what it reads from, which completion listeners do. Failure listeners come first.
        context.addTaskFailureListener((TaskFailureListener) (failed, failure) -> close());
        context.addTaskCompletionListener((TaskCompletionListener) completed -> close());
        String prefix = "[stage " + work.stage + " task " + context.partitionId() + "] ";
        errors = new Programs.Drain(process.getErrorStream(), prefix);
        drain(errors);
        drain(new Programs.Drain(process.getInputStream(), prefix));
        process.getOutputStream().close();
        try {
            connect(door);
            feeder = Programs.daemon("gristmill-input", () -> feed(task, input));
            feeder.start();
        } catch (Throwable e) {
            close();
            throw e;
        }
    }

    private Process start(File file, String address) {
        try {
            Programs.passable(Collections.singletonList(work.directory));
            Programs.passable(work.arguments);
            Programs.passable(work.environment.values());
            File directory = new File(work.directory);
            if (!directory.isDirectory()) {
                throw new IOException("the directory " + directory + " of the driver is not on host " + host()
                    + "; give inputs and outputs by absolute paths that all hosts see");
            }
            List<String> command = new ArrayList<>(work.arguments);
            command.add(0, Programs.executable(file));
            ProcessBuilder builder = new ProcessBuilder(command).directory(directory);
            builder.environment().putAll(work.environment);
            builder.environment().remove(Driver.VARIABLE);
            builder.environment().put(Work.VARIABLE, address);
            return Programs.start(builder);
        } catch (IOException e) {
            throw failed(e.getMessage());
        }
    }

    private void drain(Programs.Drain drain) {
        Thread thread = Programs.daemon("gristmill-output", drain);
        drains.add(thread);
        thread.start();
    }

    private void connect(Door door) throws IOException {
        socket = door.open(process, CONNECT_MILLIS, context::killTaskIfInterrupted);
        if (socket == null && process.isAlive()) {
            throw failed("the job did not connect within " + CONNECT_MILLIS / 1000 + " s" + lastWords());
        }
        if (socket == null) {
            String words = lastWords();
            throw failed("the job ended without connecting, exit code " + process.exitValue() + words + Programs.advice(words));
        }
        socket.setSoTimeout(Door.TICK_MILLIS);
        wire = new Wire(new Patient(socket.getInputStream(), context), socket.getOutputStream());
    }

    /** The reads of a socket, which Spark's interrupt does not end: they look up now and then whether the task was killed. */
    static final class Patient extends FilterInputStream {
        private final TaskContext context;

        Patient(InputStream in, TaskContext context) {
            super(in);
            this.context = context;
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            while (true) {
                try {
                    return in.read(bytes, offset, length);
                } catch (SocketTimeoutException e) {
                    context.killTaskIfInterrupted();
                }
            }
        }
    }

    private void feed(String task, Iterator<byte[]> input) {
        // Spark looks here for the task whose fetch failed.
        TaskContext$.MODULE$.setTaskContext(context);
        try {
            send(() -> wire.send('S', work.told.getBytes(StandardCharsets.UTF_8)));
            send(() -> wire.send('T', (flags() + task).getBytes(StandardCharsets.UTF_8)));
            for (Map.Entry<Integer, Broadcast<byte[][]>> broadcast : work.broadcasts.entrySet()) {
                for (byte[] frame : broadcast.getValue().value()) {
                    send(() -> wire.send('B', broadcast.getKey(), frame));
                }
            }
            while (input.hasNext()) {
                byte[] frame = input.next();
                send(() -> wire.send('F', frame));
            }
            send(() -> wire.send('E', new byte[0]));
            send(wire::flush);
        } catch (Gone e) {
            // The program ended, or needs no more: whoever reads from it learns which.
        } catch (Throwable e) {
            obstacle = e;
            Wire.shut(socket);
        }
    }

    private char flags() {
        // Spark runs the task for another stage than its own, which has lost what was there of it.
        boolean again = !String.valueOf(work.stage).equals(context.getLocalProperty(Work.PROPERTY));
        return (char) ((again ? 1 : 0) | (KNOWN.contains(program) ? 2 : 0));
    }

    private interface Sending {
        void send() throws IOException;
    }

    private static final class Gone extends RuntimeException {
        private static final long serialVersionUID = 1;
    }

    /** Tells failures of the connection from those of the input, which can be of any class. */
    private static void send(Sending sending) {
        try {
            sending.send();
        } catch (IOException e) {
            throw new Gone();
        }
    }

    @Override
    public boolean hasNext() {
        if (next == null && !ended) {
            try {
                context.killTaskIfInterrupted();
                next = receive();
            } catch (Throwable e) {
                Throwable cause = obstacle == null ? e : obstacle;
                close();
                throw JobError.rethrow(cause);
            }
        }
        return next != null;
    }

    @Override
    public Tuple2<Integer, byte[]> next() {
        if (!hasNext()) {
            throw new NoSuchElementException();
        }
        Tuple2<Integer, byte[]> frame = next;
        next = null;
        return frame;
    }

    private Tuple2<Integer, byte[]> receive() {
        try {
            int kind = wire.kind();
            int length = kind == Wire.END ? 0 : wire.length();
            switch (kind) {
                case 'F':
                    return frame(length);
                case 'X':
                    throw told(length);
                case 'E':
                    finish(length);
                    return null;
                case Wire.END:
                    throw brokenOff();
                default:
                    throw new ProtocolException("a message of kind " + kind);
            }
        } catch (ProtocolException e) {
            throw failed("the job sent " + e.getMessage() + lastWords());
        } catch (IOException e) {
            throw brokenOff();
        }
    }

    private Tuple2<Integer, byte[]> frame(int length) throws IOException {
        if (length < 4) {
            throw new ProtocolException("a frame without a partition");
        }
        int partition = wire.number();
        if (partition < 0 || partition >= work.partitions) {
            String number = Integer.toUnsignedString(partition);
            throw new ProtocolException("a frame for partition " + number + " of " + work.partitions);
        }
        received++;
        return new Tuple2<>(partition, wire.bytes(length - 4));
    }

    /** Takes the end only if nothing is missing, and if the program says by its exit, too, that it succeeded. */
    private void finish(int length) throws IOException {
        long sent = length == 8 ? ByteBuffer.wrap(wire.bytes(length)).getLong() : -1;
        if (sent != received) {
            throw failed("the job says that it sent " + sent + " frames, and " + received + " arrived");
        }
        // It may need no more input. It reads on until this hangs up: did it end before, the rest would tear its last frames away.
        Wire.shut(socket);
        if (!exits(EXIT_MILLIS)) {
            throw failed("the job did not end within " + EXIT_MILLIS / 1000 + " s of its end frame" + lastWords());
        }
        if (process.exitValue() != 0) {
            throw failed("the job ended with exit code " + process.exitValue() + " after its end frame" + lastWords());
        }
        if (obstacle != null) {
            throw JobError.rethrow(obstacle);
        }
        KNOWN.add(program);
        listen();
        ended = true;
        close();
    }

    /** What the job says of its failure; it may still have to print more about it. */
    private JobError told(int length) throws IOException {
        JobError error = new JobError(new String(wire.bytes(length), StandardCharsets.UTF_8));
        Wire.shut(socket);
        if (exits(SOON_MILLIS)) {
            listen();
        }
        return error;
    }

    private JobError brokenOff() {
        boolean exited = exits(SOON_MILLIS);
        String how = exited ? "ended without an end frame, exit code " + process.exitValue() : "hung up without an end frame";
        return failed("the job " + how + lastWords());
    }

    private boolean exits(int millis) {
        try {
            for (int waited = 0; waited < millis; waited += Door.TICK_MILLIS) {
                if (process.waitFor(Door.TICK_MILLIS, TimeUnit.MILLISECONDS)) {
                    return true;
                }
                context.killTaskIfInterrupted();
            }
        } catch (InterruptedException e) {
            throw JobError.rethrow(e);
        }
        return false;
    }

    private String lastWords() {
        Programs.kill(process); // or its output would not end
        listen();
        String last = errors.last();
        return last.isEmpty() ? "; it had no last words" : "; its last words: " + last;
    }

    /** Waits for the rest of what the program printed, but not for others that it left its output to. */
    private void listen() {
        drains.forEach(drain -> join(drain));
    }

    private JobError failed(String text) {
        return new JobError("task " + context.partitionId() + " of stage " + work.stage + " on host " + host() + ": " + text);
    }

    private static String host() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException e) {
            return "without a name";
        }
    }

    /** Ends the program and all that goes with it; what has ended already is left alone. */
    private void close() {
        if (closed) {
            return;
        }
        closed = true;
        Programs.kill(process);
        if (socket != null) {
            Wire.shut(socket);
        }
        if (feeder != null) {
            feeder.interrupt();
            join(feeder);
        }
    }

    /** Waits even in a thread that Spark has interrupted, as it does where it kills a task. */
    private static void join(Thread thread) {
        boolean interrupted = Thread.interrupted();
        try {
            thread.join(SOON_MILLIS);
        } catch (InterruptedException e) {
            interrupted = true;
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }
}
