import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.xcontent.DeprecationHandler;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.search.SearchModule;
import org.opensearch.search.builder.SearchSourceBuilder;

/** Reads a search a line and writes it as OpenSearch does: the Alerting plugin keeps a monitor's search in this form. */
public final class RewriteSearch {
    public static void main(String[] arguments) throws Exception {
        var registry = new NamedXContentRegistry(new SearchModule(Settings.EMPTY, List.of()).getNamedXContents());
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            try (XContentParser parser = JsonXContent.jsonXContent.createParser(
                    registry, DeprecationHandler.THROW_UNSUPPORTED_OPERATION, line)) {
                System.out.println(SearchSourceBuilder.fromXContent(parser, false).toString());
            }
        }
    }
}
