import { type Client, reach } from "../api/client.ts";
import { answerOf } from "./connect.ts";
import { CommandFailure } from "./failures.ts";

/** Puts a file where the server can build it from. */
export async function uploadSource(
  api: Client,
  path: string,
): Promise<{ url: string; checksum: string }> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw new CommandFailure(`There is no file ${path}.`);
  const hash = new Bun.CryptoHasher("sha256");
  for await (const bytes of file.stream()) hash.update(bytes);
  const { source_blob: blob } = await answerOf(api.sources.$post());
  const { url, headers } = reach(blob.put_url);
  const response = await fetch(url, { method: "PUT", headers, body: file });
  if (!response.ok)
    throw new CommandFailure(
      `The archive cannot be uploaded: the server answered ${response.status}. ${(await response.text()).slice(0, 300)}`,
    );
  return { url: blob.get_url, checksum: `SHA256:${hash.digest("hex")}` };
}
