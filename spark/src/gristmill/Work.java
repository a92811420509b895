package gristmill;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.api.java.function.FlatMapFunction2;
import org.apache.spark.broadcast.Broadcast;
import scala.Tuple2;

/** What all tasks of a stage have in common, and what Spark calls for each of them with its own text and its input. */
final class Work
        implements FlatMapFunction2<Iterator<String>, Iterator<byte[]>, Tuple2<Integer, byte[]>>,
            FlatMapFunction<Iterator<String>, Tuple2<Integer, byte[]>>,
            Serializable {
    private static final long serialVersionUID = 1;

    /** Where the program finds out that it is to run a task, and where it is to connect to. */
    static final String VARIABLE = "GRISTMILL_STAGE";

    /** The property of a job of Spark that names the stage for whose driver it runs. */
    static final String PROPERTY = "gristmill.stage";

    /** The name that {@code --files} gave the job's program. */
    final String file;
    final int stage;
    /** What the tasks are told, as the job's program understands it. */
    final String told;
    final int partitions;
    final String directory;
    final List<String> arguments = new ArrayList<>();
    final Map<String, String> environment = new LinkedHashMap<>();
    final Map<Integer, Broadcast<byte[][]>> broadcasts = new LinkedHashMap<>();

    Work(String file, JsonNode request, Map<Integer, Broadcast<byte[][]>> known) {
        this.file = file;
        stage = request.required("id").asInt();
        told = request.required("stage").asText();
        partitions = request.required("for_driver").asInt() + request.required("partitions").asInt();
        directory = request.required("directory").asText();
        for (JsonNode argument : request.path("args")) {
            arguments.add(argument.asText());
        }
        JsonNode variables = request.path("env");
        variables.fieldNames().forEachRemaining(name -> environment.put(name, variables.get(name).asText()));
        for (JsonNode id : request.path("broadcasts")) {
            Broadcast<byte[][]> broadcast = known.get(id.asInt());
            if (broadcast == null) {
                throw new IllegalArgumentException("there is no broadcast " + id + ", or it was dropped");
            }
            broadcasts.put(id.asInt(), broadcast);
        }
    }

    @Override
    public Iterator<Tuple2<Integer, byte[]>> call(Iterator<String> tasks) throws IOException {
        return call(tasks, Collections.emptyIterator());
    }

    @Override
    public Iterator<Tuple2<Integer, byte[]>> call(Iterator<String> tasks, Iterator<byte[]> input) throws IOException {
        return new Child(this, tasks.next(), input, TaskContext.get());
    }
}
