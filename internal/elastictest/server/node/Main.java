import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Map;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;

/**
 * Runs one Elasticsearch node on a free loopback port: Main HOME DATA. It prints the port on
 * standard output once it answers, and ends when standard input does, taking the folder DATA with
 * it. It starts the node itself instead of Elasticsearch's own start-up, which refuses root, loads
 * native code and wants a distribution's folders.
 */
public class Main {
    public static void main(String[] args) {
        Path data = Path.of(args[1]);
        endWithInput(data);
        PrintStream out = System.out;
        System.setOut(System.err);
        try {
            out.println(start(args[0], data));
            out.flush();
        } catch (Throwable e) {
            e.printStackTrace();
            Runtime.getRuntime().halt(1);
        }
    }

    private static int start(String home, Path data) throws Exception {
        LogConfigurator.configureESLogging();
        LogConfigurator.setNodeName("test");
        Settings settings = Settings.builder()
            .put("path.home", home)
            .put("path.data", data.resolve("data").toString())
            .put("path.logs", data.resolve("logs").toString())
            .put("cluster.name", "posture-test")
            .put("node.name", "test")
            .put("network.host", "127.0.0.1")
            .put("http.port", "0")
            .put("transport.port", "0")
            .put("http.max_content_length", "8mb")
            .put("discovery.type", "single-node")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        Node node = new Node(InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "test"));
        node.start();
        HttpServerTransport http = node.injector().getInstance(HttpServerTransport.class);
        return http.boundAddress().publishAddress().getPort();
    }

    /** Keeps the process alive, too: all of the node's own threads are daemons. */
    private static void endWithInput(Path data) {
        Thread watch = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {}
            } catch (IOException e) {
                // The other side is gone just as well.
            }
            delete(data);
            Runtime.getRuntime().halt(0);
        });
        watch.start();
    }

    private static void delete(Path folder) {
        try (var files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(file -> file.toFile().delete());
        } catch (IOException | UncheckedIOException e) {
            // The system clears its folder for temporary files.
        }
    }
}
