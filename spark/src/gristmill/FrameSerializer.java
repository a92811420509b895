package gristmill;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.Serializable;
import java.nio.ByteBuffer;
import org.apache.spark.serializer.DeserializationStream;
import org.apache.spark.serializer.SerializationStream;
import org.apache.spark.serializer.Serializer;
import org.apache.spark.serializer.SerializerInstance;
import scala.reflect.ClassTag;

/**
 * Writes a record of the shuffle as the length of its frame and the frame; the partition is known from the block that it lies in.
 *
 * <p>Spark's own serializers would do, but Java's remembers the last hundred objects of each open partition, which are gigabytes here, and
 * both take a block that ends within a record for a complete one.
 */
final class FrameSerializer extends Serializer implements Serializable {
    private static final long serialVersionUID = 1;

    @Override
    public SerializerInstance newInstance() {
        return new Instance();
    }

    /** A frame does not depend on what was written before it; so Spark may move records about as bytes. */
    @Override
    public boolean supportsRelocationOfSerializedObjects() {
        return true;
    }

    private static UnsupportedOperationException single() {
        return new UnsupportedOperationException("a frame is written to a stream only");
    }

    static final class Instance extends SerializerInstance {
        @Override
        public SerializationStream serializeStream(OutputStream stream) {
            return new Writer(stream);
        }

        @Override
        public DeserializationStream deserializeStream(InputStream stream) {
            return new Reader(stream);
        }

        @Override
        public <T> ByteBuffer serialize(T object, ClassTag<T> tag) {
            throw single();
        }

        @Override
        public <T> T deserialize(ByteBuffer bytes, ClassTag<T> tag) {
            throw single();
        }

        @Override
        public <T> T deserialize(ByteBuffer bytes, ClassLoader loader, ClassTag<T> tag) {
            throw single();
        }
    }

    static final class Writer extends SerializationStream {
        private final DataOutputStream out;

        Writer(OutputStream stream) {
            out = new DataOutputStream(stream);
        }

        @Override
        public <T> SerializationStream writeKey(T key, ClassTag<T> tag) {
            return this;
        }

        @Override
        public <T> SerializationStream writeValue(T value, ClassTag<T> tag) {
            return writeObject(value, tag);
        }

        @Override
        public <T> SerializationStream writeObject(T value, ClassTag<T> tag) {
            byte[] frame = (byte[]) value;
            try {
                out.writeInt(frame.length);
                out.write(frame);
            } catch (IOException e) {
                throw JobError.rethrow(e);
            }
            return this;
        }

        @Override
        public void flush() {
            try {
                out.flush();
            } catch (IOException e) {
                throw JobError.rethrow(e);
            }
        }

        @Override
        public void close() {
            try {
                out.close();
            } catch (IOException e) {
                throw JobError.rethrow(e);
            }
        }
    }

    static final class Reader extends DeserializationStream {
        private final DataInputStream in;
        private int length;

        Reader(InputStream stream) {
            in = new DataInputStream(new BufferedInputStream(stream, Wire.BUFFER));
        }

        /** Spark takes an EOFException for the end of the block: so it may come before the first byte of a record and nowhere else. */
        @Override
        @SuppressWarnings("unchecked")
        public <T> T readKey(ClassTag<T> tag) {
            try {
                int first = in.read();
                if (first < 0) {
                    throw new EOFException();
                }
                byte[] rest = read(new byte[3]);
                length = first << 24 | (rest[0] & 255) << 16 | (rest[1] & 255) << 8 | rest[2] & 255;
            } catch (IOException e) {
                throw JobError.rethrow(e);
            }
            return (T) Integer.valueOf(0); // nobody asks for it
        }

        @Override
        public <T> T readValue(ClassTag<T> tag) {
            return readObject(tag);
        }

        @Override
        @SuppressWarnings("unchecked")
        public <T> T readObject(ClassTag<T> tag) {
            try {
                return (T) read(new byte[Wire.checked(length)]);
            } catch (IOException e) {
                throw JobError.rethrow(e);
            }
        }

        private byte[] read(byte[] bytes) throws IOException {
            try {
                in.readFully(bytes);
            } catch (EOFException e) {
                throw new IOException("a block of the shuffle ends within a frame", e);
            }
            return bytes;
        }

        @Override
        public void close() {
            Wire.shut(in);
        }
    }
}
