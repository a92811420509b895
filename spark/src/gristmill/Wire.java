package gristmill;

import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.ProtocolException;
import java.util.ArrayList;
import java.util.List;

/**
 * Messages between the job and this program: a byte that says the kind, the length in four bytes, the highest first, and as many bytes.
 *
 * <p>A connection begins with the token, from the job. What follows beside the driver ({@link Driver}) is
 *
 * <pre>
 * here  J {"version", "spark", "parallelism"}
 * job   J {"version", "request": "broadcast", "id", "frames": K}, K times F
 *       J {"version", "request": "stage", "id", "name", "stage", "for_driver": D, "partitions": P, "broadcasts": [id],
 *          "env", "directory", "args", "tasks": [{"task", "reads": [[stage, first partition, end partition]]}]}
 *       J {"version", "request": "drop", "stage" or "broadcast": id}
 * here  J {"frames": K}, K times F: the frames that the tasks of the stage sent for the driver
 *       J {"ok": true}
 *       J {"error"}
 * </pre>
 *
 * an answer after each request; and for a task ({@link Child})
 *
 * <pre>
 * here  S stage; T flags (1 byte), task; for each frame of a broadcast B id (4 bytes), frame; for each frame that it reads F frame; E
 * job   for each frame F partition (4 bytes), frame; at last E number of frames (8 bytes), or X text of an error
 * </pre>
 *
 * both at once. The first D partitions are the driver's, and the P after them are there for later stages. A task is done again, flag 1, where a
 * later stage lacks what a lost executor had of it: what it sends for the driver is read by nobody. Flag 2 says that the program has done
 * a task here, and need not be compared with the driver's once more. After E or X the job reads until this side hangs up.
 */
final class Wire {
    /** What {@link #kind()} says where the connection ends, if it ends between two messages. */
    static final int END = -1;

    static final int BUFFER = 64 << 10;
    private static final int MAX_LENGTH = 256 << 20;

    private final DataInputStream in;
    private final DataOutputStream out;

    Wire(InputStream in, OutputStream out) {
        this.in = new DataInputStream(new BufferedInputStream(in, BUFFER));
        this.out = new DataOutputStream(new BufferedOutputStream(out, BUFFER));
    }

    int kind() throws IOException {
        return in.read();
    }

    int length() throws IOException {
        return checked(in.readInt());
    }

    static int checked(int length) throws IOException {
        if (length < 0 || length > MAX_LENGTH) {
            throw new ProtocolException("a message of " + Integer.toUnsignedLong(length) + " bytes: " + MAX_LENGTH + " are the most");
        }
        return length;
    }

    int number() throws IOException {
        return in.readInt();
    }

    byte[] bytes(int length) throws IOException {
        byte[] bytes = new byte[length];
        in.readFully(bytes);
        return bytes;
    }

    List<byte[]> frames(int count) throws IOException {
        List<byte[]> frames = new ArrayList<>();
        while (frames.size() < count) {
            int kind = kind();
            if (kind == END) {
                throw new EOFException("it ended after " + frames.size() + " frames of " + count);
            }
            if (kind != 'F') {
                throw new IOException("a message of kind " + kind + " where a frame should be");
            }
            frames.add(bytes(length()));
        }
        return frames;
    }

    void send(char kind, byte[] bytes) throws IOException {
        begin(kind, bytes.length);
        out.write(bytes);
    }

    void send(char kind, int number, byte[] bytes) throws IOException {
        begin(kind, bytes.length + 4L);
        out.writeInt(number);
        out.write(bytes);
    }

    private void begin(char kind, long length) throws IOException {
        if (length > MAX_LENGTH) {
            throw new ProtocolException("a message of " + length + " bytes: " + MAX_LENGTH + " are the most");
        }
        out.writeByte(kind);
        out.writeInt((int) length);
    }

    void flush() throws IOException {
        out.flush();
    }

    /** Closes what is of no use any more, whatever it says. */
    static void shut(Closeable closeable) {
        try {
            closeable.close();
        } catch (IOException e) {
            // Nothing is lost that anybody would have read.
        }
    }
}
