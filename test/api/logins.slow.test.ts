import { expect, test } from "bun:test";
import { serveLocalPlatform } from "../helpers/local-platform.ts";

test("guessing ends after thirty tries from an address, whoever is asked for", async () => {
  const served = serveLocalPlatform();
  const tryAs = async (email: string) => {
    const Authorization = `Basic ${btoa(`${email}:wrong-password`)}`;
    const order = { description: "", scope: ["global"] };
    const response = await served.ask("/oauth/authorizations", {
      ...{ method: "POST", body: JSON.stringify(order) },
      headers: { Authorization },
    });
    return response.status;
  };
  for (let count = 0; count < 30; count++)
    expect(await tryAs(`someone-${count}@example.com`)).toBe(401);
  expect(await tryAs("someone-else@example.com")).toBe(429);
  await served.stop();
});
