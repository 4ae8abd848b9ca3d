CREATE TABLE `acme_accounts` (
	`directoryUrl` text PRIMARY KEY NOT NULL,
	`url` text NOT NULL,
	`sealedKey` blob NOT NULL
);
--> statement-breakpoint
CREATE TABLE `automatic_certificates` (
	`host` text PRIMARY KEY NOT NULL,
	`status` text NOT NULL,
	`reason` text,
	`failures` integer NOT NULL,
	`nextAttemptAt` integer NOT NULL,
	`certificateChain` text,
	`sealedKey` blob,
	`directoryUrl` text,
	`issuer` text,
	`startsAt` integer,
	`expiresAt` integer,
	`updatedAt` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `domains` (
	`id` text PRIMARY KEY NOT NULL,
	`appId` text NOT NULL,
	`hostname` text NOT NULL,
	`sniEndpointId` text,
	`createdAt` integer NOT NULL,
	`updatedAt` integer NOT NULL,
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade,
	FOREIGN KEY (`sniEndpointId`) REFERENCES `sni_endpoints`(`id`) ON UPDATE no action ON DELETE set null
);
--> statement-breakpoint
CREATE UNIQUE INDEX `domains_hostname_unique` ON `domains` (`hostname`);--> statement-breakpoint
CREATE TABLE `sni_endpoints` (
	`id` text PRIMARY KEY NOT NULL,
	`appId` text NOT NULL,
	`name` text NOT NULL,
	`certificateChain` text NOT NULL,
	`sealedKey` blob NOT NULL,
	`certificateNames` text NOT NULL,
	`issuer` text NOT NULL,
	`subject` text NOT NULL,
	`selfSigned` integer NOT NULL,
	`trusted` integer NOT NULL,
	`startsAt` integer NOT NULL,
	`expiresAt` integer NOT NULL,
	`createdAt` integer NOT NULL,
	`updatedAt` integer NOT NULL,
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX `sni_endpoints_name_unique` ON `sni_endpoints` (`name`);--> statement-breakpoint
CREATE TABLE `visitor_rules` (
	`appId` text PRIMARY KEY NOT NULL,
	`passwords` text NOT NULL,
	`allowedAddresses` text,
	`httpsRedirect` integer NOT NULL,
	`hsts` text,
	`appLimit` text,
	`clientLimit` text,
	FOREIGN KEY (`appId`) REFERENCES `apps`(`id`) ON UPDATE no action ON DELETE cascade
);
--> statement-breakpoint
ALTER TABLE `apps` ADD `acm` integer DEFAULT true NOT NULL;