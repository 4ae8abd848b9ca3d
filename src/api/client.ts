import { hc, type InferRequestType, type InferResponseType } from "hono/client";
import type { Api } from "./api.ts";

export type Client = ReturnType<typeof createClient>;

type AppRoutes = Client["apps"][":app"];
export type AppAnswer = InferResponseType<AppRoutes["$get"], 200>;
export type BuildAnswer = InferResponseType<AppRoutes["builds"][":build"]["$get"], 200>;
export type DomainAnswer = InferResponseType<AppRoutes["domains"][":domain"]["$get"], 200>;
export type AuthorizationAnswer = InferResponseType<
  Client["oauth"]["authorizations"][":authorization"]["$get"],
  200
>;
export type DynoAnswer = InferResponseType<AppRoutes["dynos"][":dyno"]["$get"], 200>;
export type FeatureAnswer = InferResponseType<AppRoutes["features"][":feature"]["$get"], 200>;
export type FormationAnswer = InferResponseType<AppRoutes["formation"][":type"]["$get"], 200>;
export type OauthClientAnswer = InferResponseType<
  Client["oauth"]["clients"][":client"]["$get"],
  200
>;
export type ReleaseAnswer = InferResponseType<AppRoutes["releases"][":release"]["$get"], 200>;
export type SniEndpointAnswer = InferResponseType<
  AppRoutes["sni-endpoints"][":endpoint"]["$get"],
  200
>;
export type StackAnswer = InferResponseType<Client["stacks"][":stack"]["$get"], 200>;
export type StackAdditionAnswer = InferResponseType<
  Client["stacks"][":stack"]["addition"]["$get"],
  200
>;
export type WantedImage = InferRequestType<Client["stacks"]["$post"]>["json"]["image"];
export type VisitorRulesAnswer = InferResponseType<AppRoutes["visitor-rules"]["$get"], 200>;

/** A typed client of the API; `onAnswer` sees what comes beside each answer. */
export function createClient(
  apiUrl: string,
  token: string,
  onAnswer: (headers: Headers) => void = () => {},
) {
  const { url, headers } = reach(apiUrl);
  return hc<Api>(url, {
    async fetch(input: RequestInfo | URL, init?: RequestInit) {
      const answer = await fetch(input, init);
      onAnswer(answer.headers);
      return answer;
    },
    headers: {
      ...headers,
      Accept: "application/vnd.heroku+json; version=3.stator",
      Authorization: `Bearer ${token}`,
    },
  });
}

/**
 * How to get to an address: names under `.localhost` are this machine (RFC 6761), but many
 * resolvers do not know them, so their connections go to 127.0.0.1 with the name in `Host`.
 */
export function reach(address: string): { url: string; headers: Record<string, string> } {
  const url = new URL(address);
  if (!url.hostname.endsWith(".localhost") || url.protocol === "https:" || url.protocol === "wss:")
    return { url: address, headers: {} };
  const { host } = url;
  url.hostname = "127.0.0.1";
  return { url: url.href, headers: { Host: host } };
}
