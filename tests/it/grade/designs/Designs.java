import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;

/** The designs of Java: {@code java Designs.java thread|fixed|cached HOST PORT}. */
class Designs {
    public static void main(String[] words) throws IOException {
        Executor executor = switch (words[0]) {
            case "fixed" -> Executors.newFixedThreadPool(3);
            case "cached" -> Executors.newCachedThreadPool();
            default -> task -> new Thread(task).start();
        };
        InetAddress host = InetAddress.getByName(words[1]);
        try (ServerSocket listener = new ServerSocket(Integer.parseInt(words[2]), 50, host)) {
            while (true) {
                Socket client = listener.accept();
                executor.execute(() -> talk(client));
            }
        }
    }

    static void talk(Socket socket) {
        try (Socket client = socket) {
            var in = new BufferedReader(new InputStreamReader(client.getInputStream()));
            var out = new PrintWriter(client.getOutputStream(), true);
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                out.println(answer(line.trim().split(" ")));
            }
        } catch (IOException left) {
            // A reset: the client has left.
        }
    }

    static String answer(String[] words) {
        try {
            int a = Integer.parseInt(words[0]);
            int b = Integer.parseInt(words[2]);
            return switch (words[1]) {
                case "+" -> "" + (a + b);
                case "-" -> "" + (a - b);
                case "*" -> "" + (a * b);
                default -> "" + (a / b);
            };
        } catch (RuntimeException wrong) {
            return "error";
        }
    }
}
