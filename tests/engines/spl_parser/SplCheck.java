import com.teragrep.pth_03.antlr.DPLLexer;
import com.teragrep.pth_03.antlr.DPLParser;
import com.teragrep.pth_03.shaded.org.antlr.v4.runtime.BaseErrorListener;
import com.teragrep.pth_03.shaded.org.antlr.v4.runtime.CharStreams;
import com.teragrep.pth_03.shaded.org.antlr.v4.runtime.CommonTokenStream;
import com.teragrep.pth_03.shaded.org.antlr.v4.runtime.RecognitionException;
import com.teragrep.pth_03.shaded.org.antlr.v4.runtime.Recognizer;
import com.teragrep.pth_03.shaded.org.antlr.v4.runtime.Token;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Reads SPL texts, each ended by a NUL, and answers each with its errors (a line each) and a NUL. */
public final class SplCheck {
    private SplCheck() {
    }

    public static void main(String[] args) throws IOException {
        var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        var input = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
        int start = 0;
        for (int end = input.indexOf('\0'); end >= 0; end = input.indexOf('\0', start)) {
            out.print(String.join("\n", errors(input.substring(start, end))));
            out.print('\0');
            start = end + 1;
        }
        out.flush();
    }

    private static List<String> errors(String spl) {
        var found = new ArrayList<String>();
        var listener = new BaseErrorListener() {
            @Override
            public void syntaxError(Recognizer<?, ?> source, Object symbol, int line, int column, String message, RecognitionException cause) {
                found.add(line + ":" + (column + 1) + " " + oneLine(message));
            }
        };
        var lexer = new DPLLexer(CharStreams.fromString(spl));
        lexer.removeErrorListeners();
        lexer.addErrorListener(listener);
        var tokens = new CommonTokenStream(lexer);
        var parser = new DPLParser(tokens);
        parser.removeErrorListeners();
        parser.addErrorListener(listener);
        parser.root();
        Token next = tokens.LT(1); // the grammar's root does not ask for the end of the text
        if (next.getType() != Token.EOF) {
            found.add(next.getLine() + ":" + (next.getCharPositionInLine() + 1) + " nothing after this is understood: " + oneLine(next.getText()));
        }
        return found;
    }

    private static String oneLine(String text) {
        return text.replace("\n", "\\n");
    }
}
