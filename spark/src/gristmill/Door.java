package gristmill;

import java.io.DataInputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;

/**
 * Waits for the connection of a process that was told the port and a token.
 *
 * <p>Everybody on this machine can connect, and who is let in can run programs as this user. Hence the token.
 */
final class Door {
    /** How often a wait looks up: what may end it, the end of a process or of a task, wakes nobody who waits at a socket. */
    static final int TICK_MILLIS = 100;

    private static final int TOKEN_MILLIS = 10_000;

    private final ServerSocket server;
    private final String token;

    Door() throws IOException {
        server = new ServerSocket(0, 8, InetAddress.getByName("127.0.0.1"));
        byte[] random = new byte[16];
        new SecureRandom().nextBytes(random);
        StringBuilder hex = new StringBuilder();
        for (byte b : random) {
            hex.append(String.format("%02x", b));
        }
        token = hex.toString();
    }

    String address() {
        return server.getLocalPort() + ":" + token;
    }

    /** The connection that says the token; null if the process or the time ended before. What {@code look} throws ends it, too. */
    Socket open(Process process, long millis, Runnable look) throws IOException {
        long begin = System.nanoTime();
        try (ServerSocket waiting = server) {
            waiting.setSoTimeout(TICK_MILLIS);
            while (process.isAlive() && (System.nanoTime() - begin) / 1_000_000 < millis) {
                look.run();
                try {
                    Socket socket = waiting.accept();
                    if (saysToken(socket)) {
                        socket.setTcpNoDelay(true);
                        socket.setSoTimeout(0);
                        return socket;
                    }
                    Wire.shut(socket);
                } catch (SocketTimeoutException e) {
                    // Look up.
                }
            }
        }
        return null;
    }

    private boolean saysToken(Socket socket) {
        byte[] said = new byte[token.length()];
        try {
            socket.setSoTimeout(TOKEN_MILLIS);
            new DataInputStream(socket.getInputStream()).readFully(said);
        } catch (IOException e) {
            return false;
        }
        return MessageDigest.isEqual(said, token.getBytes(StandardCharsets.US_ASCII));
    }
}
