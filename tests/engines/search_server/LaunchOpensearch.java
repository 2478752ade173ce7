import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;

/** What LaunchElasticsearch is, for OpenSearch. */
public final class LaunchOpensearch {
    private LaunchOpensearch() {
    }

    public static void main(String[] args) {
        try {
            run(Path.of(args[0]).toAbsolutePath());
            System.exit(0);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1);
        }
    }

    private static void run(Path home) throws Exception {
        PrintStream out = System.out;
        var environment = InternalSettingsPreparer.prepareEnvironment(
            Settings.EMPTY, Map.of("path.home", home.toString()), home.resolve("config"), () -> "test");
        LogConfigurator.setNodeName("test");
        LogConfigurator.configure(environment);
        try (var node = new Node(environment)) {
            node.start();
            out.println(node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress());
            System.in.transferTo(PrintStream.nullOutputStream());
        }
    }
}
