import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ContainerBench, mebibyte, openContainerBench } from "../helpers/container-bench.ts";

let bench: ContainerBench;
const limits = { memoryBytes: 1024 * mebibyte, cpuWeight: 100, maxProcesses: 256 };
beforeAll(async () => {
  bench = await openContainerBench();
});
afterAll(() => bench.close());

const here = (program: string) => Bun.which(program, { PATH: "/usr/local/go/bin:/usr/bin:/bin" });

/** Real programs, which must not notice the walls. */
const programs: { name: string; needs: string; files: Record<string, string>; run: string }[] = [
  {
    name: "Node.js: worker threads, child processes, HTTP, crypto, files",
    needs: "node",
    files: {
      "main.mjs": `import { Worker } from "node:worker_threads"; import { execFileSync } from "node:child_process"; import http from "node:http"; import os from "node:os";
import { randomBytes, scryptSync } from "node:crypto"; import { writeFileSync, watch } from "node:fs";
const worker = new Worker("require('node:worker_threads').parentPort.postMessage(6 * 7)", { eval: true });
const answer = await new Promise((resolve) => worker.once("message", resolve));
scryptSync("x", randomBytes(8), 32); watch("/tmp", () => {}).close(); writeFileSync("/tmp/node-file", "x"); os.networkInterfaces(); os.setPriority(5);
const server = http.createServer((_, response) => response.end(execFileSync("echo", ["child"]))).listen(0);
await new Promise((resolve) => server.once("listening", resolve));
const text = await new Promise((resolve) => http.get({ port: server.address().port }, (response) => response.on("data", resolve)));
console.log(answer, String(text).trim()); process.exit();`,
    },
    run: "node /tmp/main.mjs",
  },
  {
    name: "Python: threads, multiprocessing, subprocesses, asyncio, mmap, SQLite, TLS",
    needs: "python3",
    files: {
      "main.py": `import asyncio, concurrent.futures, mmap, multiprocessing, sqlite3, ssl, subprocess, tempfile, threading
def double(n): return n * 2
if __name__ == "__main__":
    ssl.create_default_context()
    mmap.mmap(-1, 4096).close()
    sqlite3.connect("/tmp/db").execute("create table if not exists t (x)")
    with multiprocessing.Pool(2) as pool: doubled = pool.map(double, [21])
    with multiprocessing.Manager() as manager: manager.dict()["a"] = 1
    async def child(): return (await (await asyncio.create_subprocess_exec("echo", "child", stdout=-1)).communicate())[0].decode().strip()
    print(doubled[0], asyncio.run(child()))`,
    },
    run: "/usr/bin/python3 /tmp/main.py",
  },
  {
    name: "Java: the virtual machine, threads, a child process, HTTP",
    needs: "javac",
    files: {
      "Main.java": `import java.net.*; import java.net.http.*; import com.sun.net.httpserver.*; import java.util.concurrent.*;
public class Main { public static void main(String[] a) throws Exception {
  var pool = Executors.newFixedThreadPool(8); int answer = pool.submit(() -> 6 * 7).get();
  var server = HttpServer.create(new InetSocketAddress(0), 0);
  server.createContext("/", exchange -> { try { var bytes = new ProcessBuilder("echo", "child").start().getInputStream().readAllBytes(); exchange.sendResponseHeaders(200, bytes.length); exchange.getResponseBody().write(bytes); exchange.close(); } catch (Exception e) { e.printStackTrace(); } });
  server.start();
  var text = HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/")).build(), HttpResponse.BodyHandlers.ofString()).body();
  System.out.println(answer + " " + text.trim()); System.exit(0); } }`,
    },
    run: "cd /tmp && java Main.java",
  },
  {
    name: "Go: goroutines, a child process, HTTP",
    needs: "go",
    files: {
      "main.go": `package main
import ("fmt"; "io"; "net"; "net/http"; "os/exec"; "strings"; "sync")
func main() {
  var group sync.WaitGroup; answer := make(chan int, 100)
  for n := 0; n < 100; n++ { group.Add(1); go func() { defer group.Done(); answer <- 42 }() }
  group.Wait()
  listener, err := net.Listen("tcp", ":0"); if err != nil { panic(err) }
  go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { out, err := exec.Command("echo", "child").Output(); if err != nil { panic(err) }; w.Write(out) }))
  response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/", listener.Addr().(*net.TCPAddr).Port)); if err != nil { panic(err) }
  text, _ := io.ReadAll(response.Body)
  fmt.Println(<-answer, strings.TrimSpace(string(text)))
}`,
    },
    run: "cd /tmp && GOFLAGS=-mod=mod GO111MODULE=off GOCACHE=/tmp/gocache /usr/local/go/bin/go run main.go",
  },
  {
    name: "C: the compiler itself, and pthreads",
    needs: "gcc",
    files: {
      "main.c": `#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static void *answer(void *x) { *(int *)x = 42; return 0; }
int main(void) { int n; pthread_t t; if (pthread_create(&t, 0, answer, &n)) return 1; pthread_join(t, 0); printf("%d ", n); fflush(stdout); return system("echo child"); }`,
    },
    run: "cd /tmp && gcc -pthread -o main main.c && ./main",
  },
  {
    name: "Bun: a server, a worker, a child process",
    needs: "gcc",
    files: {
      "main.ts": `const server = Bun.serve({ port: 0, fetch: async () => new Response(await new Response(Bun.spawn(["echo", "child"]).stdout).text()) });
const worker = new Worker(URL.createObjectURL(new Blob(["postMessage(42)"])));
const answer = await new Promise((resolve) => (worker.onmessage = ({ data }) => resolve(data)));
console.log(answer, (await (await fetch(server.url)).text()).trim()); process.exit();`,
    },
    run: "/opt/stator/bin/stator run /tmp/main.ts",
  },
];

for (const { name, needs, files, run } of programs)
  test.if(here(needs) !== null)(`works inside: ${name}`, async () => {
    const folder = bench.scratch();
    for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
    const change = {
      limits: { ...limits, maxProcesses: 512 },
      mounts: [
        { kind: "bind" as const, source: folder, target: "/tmp", readOnly: false },
        {
          kind: "bind" as const,
          source: process.execPath,
          target: "/opt/stator/bin/stator",
          readOnly: true,
        },
      ],
    };
    expect(await bench.attached(`${run} 2>&1`, change)).toEqual({ status: 0, text: "42 child\n" });
  });
