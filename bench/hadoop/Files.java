import java.io.FileInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * HDFS's client in one process, without a shell's start: put LOCAL PATH, get PATH, small DIRECTORY THREADS FILES BYTES.
 * Does it once to warm up (small: a tenth) and prints "seconds S", "files_s F" of the second time.
 */
public class Files {
    static FileSystem fs;

    static double put(String from, Path to) throws Exception {
        byte[] b = new byte[1 << 20];
        long began = System.nanoTime();
        try (InputStream in = new FileInputStream(from); OutputStream out = fs.create(to, true)) {
            for (int n; (n = in.read(b)) > 0; )
                out.write(b, 0, n);
        }
        return (System.nanoTime() - began) / 1e9;
    }

    static double get(Path from) throws Exception {
        byte[] b = new byte[1 << 20];
        long began = System.nanoTime();
        try (InputStream in = fs.open(from)) {
            while (in.read(b) > 0)
                continue;
        }
        return (System.nanoTime() - began) / 1e9;
    }

    static double small(String dir, int threads, int files, int bytes) throws Exception {
        AtomicInteger next = new AtomicInteger();
        byte[] b = new byte[bytes];
        Thread[] all = new Thread[threads];
        Exception[] failed = new Exception[1];
        fs.mkdirs(new Path(dir));
        long began = System.nanoTime();
        for (int t = 0; t < threads; t++) {
            all[t] = new Thread(() -> {
                try {
                    for (int i; (i = next.getAndIncrement()) < files; )
                        try (OutputStream out = fs.create(new Path(dir, "f" + i), false)) {
                            out.write(b);
                        }
                } catch (Exception e) {
                    failed[0] = e;
                }
            });
            all[t].start();
        }
        for (Thread t : all)
            t.join();
        if (failed[0] != null)
            throw failed[0];
        return (System.nanoTime() - began) / 1e9;
    }

    public static void main(String[] a) throws Exception {
        double s;
        fs = FileSystem.get(new Configuration());
        if (a[0].equals("put")) {
            put(a[1], new Path(a[2]));
            s = put(a[1], new Path(a[2]));
        } else if (a[0].equals("get")) {
            get(new Path(a[1]));
            s = get(new Path(a[1]));
        } else {
            int files = Integer.parseInt(a[3]), threads = Integer.parseInt(a[2]), bytes = Integer.parseInt(a[4]);
            String dir = a[1] + System.currentTimeMillis();
            small(dir + "/warm-up", threads, Math.max(1, files / 10), bytes);
            s = small(dir, threads, files, bytes);
            System.out.println("files_s " + files / s);
        }
        System.out.println("seconds " + s);
    }
}
