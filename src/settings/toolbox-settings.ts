import { readSecrets } from "../lib/address-secrets.ts";
import type { Variables } from "./values.ts";

/** What the operator has set for builds, as `stator toolbox` finds it inside of one. */
export interface ToolboxSettings {
  /** STATOR_NAME_MIRROR, without a slash at its end. */
  mirror: (name: string) => string | undefined;
  /** Of the address that is fetched: `user:password`, and `?…`. */
  credentials: string | undefined;
  query: string;
  /** What programs need to get out: proxy and certificates. */
  network: Record<string, string>;
}

const networkName = /^(?:https?_proxy|no_proxy|all_proxy|ssl_cert_file|git_ssl_cainfo)$/i;

export function readToolboxSettings(variables: Variables = process.env): ToolboxSettings {
  return {
    mirror: (name) =>
      variables[`STATOR_${name.toUpperCase()}_MIRROR`]?.replace(/\/+$/, "") || undefined,
    ...readSecrets(variables.STATOR_FETCH_SECRETS),
    network: Object.fromEntries(
      Object.entries(variables).flatMap(([name, value]) =>
        value !== undefined && networkName.test(name) ? [[name, value]] : [],
      ),
    ),
  };
}
