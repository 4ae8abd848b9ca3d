import { type Header, pack } from "tar-stream";

export type TarEntry = [header: Partial<Header> & Pick<Header, "name">, content?: string | Buffer];

/** A tar of these entries, however odd they are. */
export async function tarOf(entries: TarEntry[]): Promise<Buffer> {
  const made = pack();
  for (const [header, content] of entries) made.entry(header, content ?? "");
  made.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of made as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
