package gristmill;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Method;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collection;
import java.util.stream.Stream;

/** How the program of the job is started, listened to and ended. */
final class Programs {
    private static final String PORTABLE = "build it where the C library is the oldest of all hosts";

    private Programs() {}

    /** The path of a program, which a file system or a copy may have robbed of its right to run. */
    static String executable(File program) throws IOException {
        if (!program.isFile()) {
            throw new IOException("there is no program " + program + ": hand it over with --files");
        }
        if (!program.canExecute() && !program.setExecutable(true)) {
            throw new IOException(program + " may not be executed here");
        }
        return program.getPath();
    }

    /** Starts a program that is there, so that what is not found is what it needs. What is none for this host Java would give to a shell. */
    static Process start(ProcessBuilder builder) throws IOException {
        String program = builder.command().get(0);
        int built = machine(program);
        int here = machine("/proc/self/exe");
        if (built >= 0 && here >= 0 && built != here) {
            throw new IOException(program + " is built for another kind of processor: build it for that of this host");
        }
        try {
            return builder.start();
        } catch (IOException e) {
            String message = String.valueOf(e.getMessage());
            String advice = "";
            if (message.contains("error=2,")) {
                advice = ": the program is there, but not its C library's loader; " + PORTABLE;
            } else if (message.contains("error=13,")) {
                advice = ": it lies in a file system where nothing may be executed; let spark.local.dir be another one";
            }
            throw new IOException(message + advice, e);
        }
    }

    /** What to do about a program that did not come to its main, by its last words; or nothing. */
    static String advice(String words) {
        boolean old = words.contains("version `GLIBC_") || words.contains("error while loading shared libraries");
        return old ? "; " + PORTABLE : "";
    }

    /** The kind of processor that a program is built for, as the head of its file has it; -1 if it is a script, or cannot be read. */
    private static int machine(String program) {
        byte[] head = new byte[20];
        try (DataInputStream file = new DataInputStream(new FileInputStream(program))) {
            file.readFully(head);
        } catch (IOException e) {
            return -1;
        }
        boolean elf = head[0] == 0x7f && head[1] == 'E' && head[2] == 'L' && head[3] == 'F';
        return elf ? (head[18] & 0xff) << 8 | head[19] & 0xff : -1;
    }

    /** Java passes text on in the character set of its locale, where it is other bytes, or has question marks for what is not in it. */
    static void passable(Collection<String> texts) throws IOException {
        String name = System.getProperty("sun.jnu.encoding", Charset.defaultCharset().name());
        for (String text : texts) {
            if (!Arrays.equals(text.getBytes(Charset.forName(name)), text.getBytes(StandardCharsets.UTF_8))) {
                String problem = "Java cannot pass \"" + text + "\" on in its character set " + name;
                throw new IOException(problem + ": start Spark, also its workers, with LC_ALL=C.UTF-8");
            }
        }
    }

    /** Ends a process and what it started. */
    static void kill(Process process) {
        if (!process.isAlive()) {
            return;
        }
        Object[] descendants = {};
        try {
            descendants = ((Stream<?>) Process.class.getMethod("descendants").invoke(process)).toArray();
        } catch (ReflectiveOperationException | UnsupportedOperationException e) {
            // Java 8 does not know them; they see the end of what the process held.
        }
        process.destroyForcibly();
        try {
            for (Object descendant : descendants) {
                Method destroy = Class.forName("java.lang.ProcessHandle").getMethod("destroyForcibly");
                destroy.invoke(descendant);
            }
        } catch (ReflectiveOperationException e) {
            // One that has ended meanwhile.
        }
    }

    static Thread daemon(String name, Runnable work) {
        Thread thread = new Thread(work, name);
        thread.setDaemon(true);
        return thread;
    }

    /** Reads what a process prints, so that it never waits for a reader; brings it to our standard error; and keeps the end of it. */
    static final class Drain implements Runnable {
        private static final int LONGEST_LINE = 8 << 10;
        private static final int KEPT = 8 << 10;

        private final InputStream from;
        private final String prefix;
        private final ByteArrayOutputStream line = new ByteArrayOutputStream();
        private byte[] last = {};

        Drain(InputStream from, String prefix) {
            this.from = new BufferedInputStream(from);
            this.prefix = prefix;
        }

        @Override
        public void run() {
            try {
                for (int b = from.read(); b >= 0; b = from.read()) {
                    line.write(b);
                    if (b == '\n' || line.size() == LONGEST_LINE) {
                        print();
                    }
                }
            } catch (IOException e) {
                // The process was killed.
            }
            print();
        }

        /** One write a line, so that the lines of several processes do not mix. */
        private void print() {
            byte[] bytes = line.toByteArray();
            line.reset();
            if (bytes.length > 0) {
                keep(bytes);
                String text = new String(bytes, StandardCharsets.UTF_8);
                System.err.print(prefix + (text.endsWith("\n") ? text : text + "\n"));
            }
        }

        private synchronized void keep(byte[] bytes) {
            byte[] all = Arrays.copyOf(last, last.length + bytes.length);
            System.arraycopy(bytes, 0, all, last.length, bytes.length);
            last = Arrays.copyOfRange(all, Math.max(0, all.length - KEPT), all.length);
        }

        /** The last that was printed. */
        synchronized String last() {
            return new String(last, StandardCharsets.UTF_8).trim();
        }
    }
}
