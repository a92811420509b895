package gristmill;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.IOException;
import java.net.Socket;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.spark.Partition;
import org.apache.spark.Partitioner;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkFiles;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.rdd.PartitionCoalescer;
import org.apache.spark.rdd.PartitionGroup;
import org.apache.spark.rdd.RDD;
import org.apache.spark.rdd.ShuffledRDD;
import scala.Option;
import scala.Some;
import scala.Tuple2;
import scala.reflect.ClassTag;
import scala.reflect.ClassTag$;

/**
 * Runs a gristmill job on a Spark cluster: {@code spark-submit --class gristmill.Driver --files JOB gristmill.jar JOB ARGS}.
 *
 * <p>The job is a program of its own. It is started here, beside the driver, with a connection on which it asks for stages; and once for
 * each task of a stage, on the executors, with a connection that brings its input and takes its output. Spark schedules, shuffles,
 * retries; what the bytes mean only the job knows. {@link Wire} has what is said on the connections.
 *
 * <p>The same jar runs on Spark 3.5 and 4, that is Scala 2.12 and 2.13: it may only call what has the same descriptor in both. What would
 * take or give a {@code Seq} has not. {@code build.sh --check} shows it, with the jars of either.
 */
public final class Driver {
    /** Where the program finds out that it is to run its job here, and where it is to connect to. */
    static final String VARIABLE = "GRISTMILL_DRIVER";

    private static final int VERSION = 2;
    private static final ObjectMapper JSON = new ObjectMapper();

    private final JavaSparkContext spark;
    private final String file;
    private final Map<Integer, Output> stages = new HashMap<>();
    private final Map<Integer, Broadcast<byte[][]>> broadcasts = new HashMap<>();
    private volatile Socket connection;

    private Driver(JavaSparkContext spark, String file) {
        this.spark = spark;
        this.file = file;
    }

    public static void main(String[] args) throws Exception {
        if (args.length == 0) {
            System.err.println("usage: spark-submit --class gristmill.Driver --files JOB gristmill.jar JOB [ARGS]");
            System.exit(2);
        }
        String file = new File(args[0]).getName();
        int code = run(file, args);
        // To return is what YARN takes for success: an exit from within main, even with 0, it takes for a failure.
        if (code != 0) {
            System.exit(code);
        }
    }

    /** What keeps Spark or the job from starting is told in the last line, behind what Spark says of it. */
    private static int run(String file, String[] args) throws InterruptedException {
        JavaSparkContext spark;
        try {
            spark = new JavaSparkContext(settings().setAppName(file));
        } catch (Exception e) {
            System.err.println("gristmill: Spark does not start: " + JobError.told(e) + "; see to --master, and to the settings of Spark");
            return 1;
        }
        try {
            return new Driver(spark, file).run(args);
        } catch (IOException e) {
            System.err.println("gristmill: the job does not start: " + e.getMessage());
            return 1;
        } finally {
            spark.stop();
        }
    }

    /** The user's settings, also those of {@code spark-defaults.conf}, and what is better for jobs than what Spark does without them. */
    private static SparkConf settings() {
        SparkConf conf = new SparkConf();
        // Frames are compressed already; and of what goes to the driver, its memory is the limit, and no number.
        conf.setIfMissing("spark.shuffle.compress", "false").setIfMissing("spark.broadcast.compress", "false");
        conf.setIfMissing("spark.driver.maxResultSize", "0");
        long worker = conf.getLong("spark.gristmill.workerMemory", 0);
        if (worker > 0) {
            // A worker on each core, with what it may hold, a quarter of it, and 64 MiB; and what Spark itself takes for a small executor.
            long all = (worker + worker / 4 + (64L << 20)) * conf.getInt("spark.executor.cores", 1);
            conf.setIfMissing("spark.executor.memoryOverhead", ((all >> 20) + 1 + 384) + "m");
        }
        return conf;
    }

    /** Runs the job and returns its exit code. When it ends, for whatever reason, nobody waits any more for a stage that still runs. */
    private int run(String[] args) throws IOException, InterruptedException {
        // In cluster mode this machine is not the user's, and has only what --files brought.
        File here = new File(args[0]).getAbsoluteFile();
        List<String> command = new ArrayList<>(Arrays.asList(args));
        command.set(0, Programs.executable(here.isFile() ? here : new File(SparkFiles.get(file))));
        Door door = new Door();
        Programs.passable(command);
        ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
        builder.environment().remove(Work.VARIABLE);
        builder.environment().put(VARIABLE, door.address());
        Process job = Programs.start(builder);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> leave(job)));
        Programs.daemon("gristmill-requests", () -> serve(door, job)).start();
        return job.waitFor();
    }

    /** A dying driver takes the job along. A connected one sees it at the connection and can clean up: a signal could be its second one. */
    private void leave(Process job) {
        Socket socket = connection;
        if (socket == null) {
            job.destroy();
        } else {
            Wire.shut(socket);
        }
    }

    private void serve(Door door, Process job) {
        try (Socket socket = door.open(job, Long.MAX_VALUE, () -> { })) {
            connection = socket;
            if (socket != null) {
                serve(new Wire(socket.getInputStream(), socket.getOutputStream()));
            }
        } catch (IOException e) {
            if (job.isAlive()) {
                System.err.println("gristmill: the connection with the job broke off: " + e.getMessage());
            }
        }
    }

    private void serve(Wire wire) throws IOException {
        ObjectNode hello = JSON.createObjectNode().put("version", VERSION);
        hello.put("spark", spark.version()).put("parallelism", spark.defaultParallelism());
        wire.send('J', JSON.writeValueAsBytes(hello));
        wire.flush();
        for (int kind = wire.kind(); kind != Wire.END; kind = wire.kind()) {
            if (kind != 'J') {
                throw new IOException("a request is of kind J, not " + kind);
            }
            JsonNode request = JSON.readTree(wire.bytes(wire.length()));
            answer(wire, request, wire.frames(request.path("frames").asInt()));
        }
    }

    private void answer(Wire wire, JsonNode request, List<byte[]> attached) throws IOException {
        List<byte[]> frames = Collections.emptyList();
        ObjectNode answer = JSON.createObjectNode();
        try {
            frames = perform(request, attached, answer);
        } catch (Throwable e) { // an OutOfMemoryError is an answer, too: the job tells its user
            String error = JobError.told(e);
            if (spark.sc().isStopped()) {
                error = "the application was ended (" + error + "); see what Spark says above, and whether " + spark.master() + " can be reached";
            }
            answer.removeAll().put("error", error);
        }
        wire.send('J', JSON.writeValueAsBytes(answer));
        for (byte[] frame : frames) {
            wire.send('F', frame);
        }
        wire.flush();
    }

    private List<byte[]> perform(JsonNode request, List<byte[]> attached, ObjectNode answer) {
        int version = request.path("version").asInt();
        if (version != VERSION) {
            throw new IllegalArgumentException(
                "the job speaks version " + version + " of the protocol, gristmill.jar " + VERSION + ": take both from one release");
        }
        String what = request.path("request").asText();
        switch (what) {
            case "broadcast":
                broadcasts.put(request.required("id").asInt(), spark.broadcast(attached.toArray(new byte[0][])));
                break;
            case "stage":
                List<byte[]> frames = stage(request);
                answer.put("frames", frames.size());
                return frames;
            case "drop":
                drop(request);
                break;
            default:
                throw new IllegalArgumentException("gristmill.jar knows no request " + what);
        }
        answer.put("ok", true);
        return Collections.emptyList();
    }

    /** What is forgotten stays computable: later stages hold on to what a lost executor would make Spark compute again. */
    private void drop(JsonNode request) {
        if (request.has("stage")) {
            stages.remove(request.get("stage").asInt());
        } else {
            Broadcast<byte[][]> broadcast = broadcasts.remove(request.required("broadcast").asInt());
            if (broadcast != null) {
                broadcast.unpersist(false);
            }
        }
    }

    /** Runs a stage and returns its frames for the driver. */
    private List<byte[]> stage(JsonNode request) {
        int id = request.required("id").asInt();
        int partitions = request.required("partitions").asInt();
        int forDriver = request.required("for_driver").asInt();
        if (partitions < 0 || forDriver < 1) {
            throw new IllegalArgumentException("a stage of " + forDriver + " partitions for the driver and " + partitions + " others");
        }
        if (stages.containsKey(id)) {
            throw new IllegalArgumentException("there is a stage " + id + " already");
        }
        JsonNode tasks = request.required("tasks");
        if (tasks.isEmpty()) {
            stages.put(id, new Output(forDriver, partitions, null));
            return Collections.emptyList();
        }
        String name = request.path("name").asText("stage " + id);
        spark.setCallSite(name);
        spark.setJobDescription(name);
        spark.setLocalProperty(Work.PROPERTY, String.valueOf(id));
        JavaRDD<Tuple2<Integer, byte[]>> records = records(tasks, new Work(file, request, broadcasts));
        if (partitions == 0) {
            return JavaPairRDD.fromJavaRDD(records).values().collect();
        }
        Identity partitioner = new Identity(forDriver + partitions);
        ClassTag<Integer> key = ClassTag$.MODULE$.apply(Integer.class);
        ClassTag<byte[]> value = ClassTag$.MODULE$.apply(byte[].class);
        ShuffledRDD<Integer, byte[], byte[]> shuffled = new ShuffledRDD<>(records.rdd(), partitioner, key, value, value);
        // Without the keys the frames have no partitioner, by which a union would join partitions of the same number.
        JavaRDD<byte[]> frames = JavaPairRDD.fromRDD(shuffled.setSerializer(new FrameSerializer()), key, value).values();
        List<byte[]> first = new ArrayList<>();
        for (List<byte[]> partition : frames.collectPartitions(IntStream.range(0, forDriver).toArray())) {
            first.addAll(partition);
        }
        stages.put(id, new Output(forDriver, partitions, frames));
        return first;
    }

    /** The output of all tasks, not yet computed. The text of a task lies in its partition: a closure would bring it those of all tasks. */
    private JavaRDD<Tuple2<Integer, byte[]>> records(JsonNode tasks, Work work) {
        List<String> all = new ArrayList<>();
        for (JsonNode task : tasks) {
            all.add(task.required("task").asText());
        }
        JavaRDD<String> texts = spark.parallelize(all, all.size());
        Map<Integer, Integer> offsets = new LinkedHashMap<>();
        JavaRDD<byte[]> input = inputs(tasks, offsets);
        if (input == null) {
            return texts.mapPartitions(work);
        }
        int[][] parents = new int[all.size()][];
        for (int task = 0; task < parents.length; task++) {
            parents[task] = parents(tasks.get(task).path("reads"), offsets);
        }
        RDD<byte[]> grouped = input.rdd().coalesce(parents.length, false, new Some<PartitionCoalescer>(new Reads(parents)), null);
        return texts.zipPartitions(grouped.toJavaRDD(), work);
    }

    /** All that the tasks read, one stage after the other, and where each begins; null if there is nothing to read. */
    private JavaRDD<byte[]> inputs(JsonNode tasks, Map<Integer, Integer> offsets) {
        Map<Integer, Output> read = new TreeMap<>();
        for (JsonNode task : tasks) {
            for (JsonNode range : task.path("reads")) {
                int stage = range.path(0).asInt();
                read.put(stage, checked(range));
            }
        }
        read.values().removeIf(output -> output.frames == null);
        List<JavaRDD<byte[]>> sources = new ArrayList<>();
        int offset = 0;
        for (Map.Entry<Integer, Output> entry : read.entrySet()) {
            offsets.put(entry.getKey(), offset);
            offset += entry.getValue().end();
            sources.add(entry.getValue().frames);
        }
        if (sources.size() < 2) {
            return sources.isEmpty() ? null : sources.get(0);
        }
        @SuppressWarnings({"unchecked", "rawtypes"}) // Java makes no arrays of generic types
        JavaRDD<byte[]>[] array = sources.toArray(new JavaRDD[0]);
        return spark.union(array);
    }

    private Output checked(JsonNode range) {
        Output output = stages.get(range.path(0).asInt());
        if (output == null) {
            throw new IllegalArgumentException("a task reads " + range + ", of a stage that did not run or was dropped");
        }
        int first = range.path(1).asInt();
        int end = range.path(2).asInt();
        if (first < output.forDriver || end < first || end > output.end()) {
            String there = output.forDriver + " to " + output.end();
            throw new IllegalArgumentException("a task reads " + range + ", but the partitions for later stages are " + there);
        }
        return output;
    }

    private static int[] parents(JsonNode reads, Map<Integer, Integer> offsets) {
        List<Integer> parents = new ArrayList<>();
        for (JsonNode range : reads) {
            Integer offset = offsets.get(range.path(0).asInt());
            for (int partition = range.path(1).asInt(); offset != null && partition < range.path(2).asInt(); partition++) {
                parents.add(offset + partition);
            }
        }
        return parents.stream().mapToInt(Integer::intValue).toArray();
    }

    /** What later stages can read of a stage: its frames by partition, or null if it had no tasks. */
    static final class Output {
        final int forDriver;
        final int partitions;
        final JavaRDD<byte[]> frames;

        Output(int forDriver, int partitions, JavaRDD<byte[]> frames) {
            this.forDriver = forDriver;
            this.partitions = partitions;
            this.frames = frames;
        }

        /** The first number that is no partition. */
        int end() {
            return forDriver + partitions;
        }
    }

    /**
     * Gives each task the partitions that it reads, with their numbers in the union of all stages.
     *
     * <p>Spark 3.5 asks for a {@code scala.Serializable}, which Scala 2.13 no longer has. What is one here and none there is Spark's own
     * {@code Partition}: that alone makes this one.
     */
    static final class Reads implements PartitionCoalescer, Partition {
        private static final long serialVersionUID = 1;
        /** Only the driver asks; with each task would go the reads of all. */
        private final transient int[][] parents;

        Reads(int[][] parents) {
            this.parents = parents;
        }

        @Override
        public int index() {
            return 0;
        }

        @Override
        @SuppressWarnings("deprecation") // what Scala 2.13 would rather have, 2.12 has not
        public PartitionGroup[] coalesce(int count, RDD<?> parent) {
            Partition[] partitions = parent.partitions();
            PartitionGroup[] groups = new PartitionGroup[parents.length];
            for (int task = 0; task < groups.length; task++) {
                groups[task] = new PartitionGroup(Option.empty());
                for (int number : parents[task]) {
                    scala.collection.JavaConverters.bufferAsJavaList(groups[task].partitions()).add(partitions[number]);
                }
            }
            return groups;
        }
    }

    /** The key of a record is its partition. */
    static final class Identity extends Partitioner {
        private static final long serialVersionUID = 1;
        private final int count;

        Identity(int count) {
            this.count = count;
        }

        @Override
        public int numPartitions() {
            return count;
        }

        @Override
        public int getPartition(Object key) {
            int partition = (Integer) key;
            if (partition < 0 || partition >= count) {
                throw new IllegalArgumentException("partition " + partition + " of " + count);
            }
            return partition;
        }
    }
}
