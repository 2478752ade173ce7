import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Runs one Elasticsearch node out of a home folder, prints its HTTP address, and stops at the end of standard input.
 *
 * The product's own bootstrap is left out on purpose: it refuses root and wants a whole distribution.
 */
public final class LaunchElasticsearch {
    private LaunchElasticsearch() {
    }

    public static void main(String[] args) {
        try {
            run(Path.of(args[0]).toAbsolutePath());
            System.exit(0);
        } catch (Throwable error) {
            error.printStackTrace();
            System.exit(1); // a failed start leaves threads behind that are no daemons
        }
    }

    private static void run(Path home) throws Exception {
        PrintStream out = System.out; // the log set-up below takes System.out away
        LogConfigurator.configureESLogging();
        var environment = InternalSettingsPreparer.prepareEnvironment(
            Settings.EMPTY, Map.of("path.home", home.toString()), home.resolve("config"), () -> "test");
        LogConfigurator.setNodeName("test");
        LogConfigurator.configure(environment, true);
        // the last argument: the server is on the class path, so there are no Java modules to open
        var plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(home.resolve("modules")), Set.of(), Map.of(), false);
        try (var node = new Node(environment, plugins)) {
            node.start();
            out.println(node.injector().getInstance(HttpServerTransport.class).boundAddress().publishAddress());
            System.in.transferTo(PrintStream.nullOutputStream());
        }
    }
}
