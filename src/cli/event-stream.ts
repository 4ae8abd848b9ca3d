export interface ServerSentEvent {
  /** The last id that the server has given. */
  id: string | undefined;
  /** One string for each `data:` line. */
  data: string[];
}

/** Whole server-sent events; one that the end of the stream cut off is none. */
export async function* serverSentEvents(
  body: ReadableStream<Uint8Array>,
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  let id: string | undefined;
  let data: string[] = [];
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line.startsWith("id: ")) id = line.slice("id: ".length);
      else if (line.startsWith("data: ")) data.push(line.slice("data: ".length));
      if (line !== "" || data.length === 0) continue;
      yield { id, data };
      data = [];
    }
  }
}
