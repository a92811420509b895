package gristmill;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a job is told of a failure, word for word.
 *
 * <p>It fails a task, and Spark hands on the text alone, between words of its own and after some tries. Therefore the text begins with its
 * length, by which it is found again.
 */
final class JobError extends RuntimeException {
    private static final long serialVersionUID = 1;
    private static final Pattern MARK = Pattern.compile("\\[gristmill:(\\d{1,9})\\] ");

    /** Without a stack trace: where this Java code stood says nothing about the job. */
    JobError(String text) {
        super("[gristmill:" + text.length() + "] " + text, null, false, false);
    }

    /** The text that failed a task, or else the first line of what Spark says. */
    static String told(Throwable failure) {
        for (Throwable e = failure; e != null; e = e.getCause()) {
            String text = marked(String.valueOf(e.getMessage()));
            if (text != null) {
                return text;
            }
        }
        String message = failure.getMessage();
        boolean ours = failure instanceof IllegalArgumentException && message != null;
        return (ours ? message : failure.toString()).split("\n", 2)[0];
    }

    private static String marked(String message) {
        Matcher mark = MARK.matcher(message);
        while (mark.find()) {
            int end = mark.end() + Integer.parseInt(mark.group(1));
            if (end <= message.length()) {
                return message.substring(mark.end(), end);
            }
        }
        return null;
    }

    /** Throws it as it is: Spark knows its own exceptions by their class, and some of them are checked ones that no method declares. */
    static RuntimeException rethrow(Throwable failure) {
        throw JobError.<RuntimeException>unchecked(failure);
    }

    @SuppressWarnings("unchecked")
    private static <E extends Throwable> E unchecked(Throwable failure) throws E {
        throw (E) failure;
    }
}
