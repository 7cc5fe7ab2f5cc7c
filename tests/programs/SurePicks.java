import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** Keeps the picks of some phases that are probable enough: CSV in, CSV out. */
public final class SurePicks {
    public static void main(String[] words) throws IOException {
        double least = Double.parseDouble(words[2]);
        List<String> phases = words.length > 3 ? Arrays.asList(words[3].split(",")) : null;
        try (BufferedReader in = Files.newBufferedReader(Path.of(words[0]));
                PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(words[1])))) {
            String header = in.readLine();
            List<String> names = Arrays.asList(header.split(",", -1));
            int phase = names.indexOf("phase");
            int probability = names.indexOf("probability");
            out.println(header);
            for (String row = in.readLine(); row != null; row = in.readLine()) {
                String[] cells = row.split(",", -1);
                boolean wanted = phases == null || phases.contains(cells[phase]);
                if (wanted && Double.parseDouble(cells[probability]) >= least) {
                    out.println(row);
                }
            }
        }
    }
}
