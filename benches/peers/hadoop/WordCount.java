import java.io.IOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.LongWritable;
import org.apache.hadoop.io.Text;
import org.apache.hadoop.mapred.LocalJobRunner;
import org.apache.hadoop.mapreduce.Job;
import org.apache.hadoop.mapreduce.Mapper;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.hadoop.mapreduce.lib.output.FileOutputFormat;
import org.apache.hadoop.mapreduce.lib.reduce.LongSumReducer;

/**
 * Word count on Hadoop within one process: WordCount INPUT OUTPUT THREADS.
 *
 * <p>A mapper, and a reducer that combines, too, as in the tutorial
 * https://hadoop.apache.org/docs/stable/hadoop-mapreduce-client/hadoop-mapreduce-client-core/MapReduceTutorial.html. As many tasks as threads
 * run at once. Hadoop has no Parquet of its own: it writes words and counts as text, with tabs between.
 */
public final class WordCount {
  /** Cuts a line at what Unicode takes for white space, which StringTokenizer does not. */
  public static final class Words extends Mapper<LongWritable, Text, Text, LongWritable> {
    private static final LongWritable ONE = new LongWritable(1);
    private final Text word = new Text();

    @Override
    protected void map(LongWritable at, Text line, Context context) throws IOException, InterruptedException {
      String text = line.toString();
      int start = 0;
      for (int end = 0; end <= text.length(); end++) {
        if (end == text.length() || isSpace(text.charAt(end))) {
          if (end > start) {
            word.set(text.substring(start, end));
            context.write(word, ONE);
          }
          start = end + 1;
        }
      }
    }

    private static boolean isSpace(char c) {
      return c == ' ' || c >= '\t' && c <= '\r' || c == 0x85 || c >= 0xa0 && Character.isSpaceChar(c);
    }
  }

  public static void main(String[] args) throws Exception {
    int threads = Integer.parseInt(args[2]);
    Configuration conf = new Configuration();
    conf.set("mapreduce.framework.name", "local");
    // Fewer spills of a task: https://hadoop.apache.org/docs/stable/hadoop-mapreduce-client/hadoop-mapreduce-client-core/MapReduceTutorial.html#Map_Parameters
    conf.setInt("mapreduce.task.io.sort.mb", 256);
    Job job = Job.getInstance(conf, "word count");
    LocalJobRunner.setLocalMaxRunningMaps(job, threads);
    LocalJobRunner.setLocalMaxRunningReduces(job, threads);
    job.setJarByClass(WordCount.class);
    job.setMapperClass(Words.class);
    job.setCombinerClass(LongSumReducer.class);
    job.setReducerClass(LongSumReducer.class);
    job.setNumReduceTasks(threads);
    job.setOutputKeyClass(Text.class);
    job.setOutputValueClass(LongWritable.class);
    FileInputFormat.addInputPath(job, new Path(args[0]));
    FileOutputFormat.setOutputPath(job, new Path(args[1]));
    System.exit(job.waitForCompletion(false) ? 0 : 1);
  }
}
